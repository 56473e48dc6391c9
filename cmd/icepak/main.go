// Icepak tests operating-system images on real LXD servers before they reach
// users.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/upmaru/icepak/cmd/internal/cli"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal ends the run in order, the second one at once.
	context.AfterFunc(ctx, stop)
	return cli.Run(ctx, os.Args[1:], &cli.Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Getenv: os.Getenv, Environ: os.Environ, Version: version(),
	})
}
