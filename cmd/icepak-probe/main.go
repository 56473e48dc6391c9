// Icepak-probe runs in a guest: a plan comes in on standard input, and events
// go out on standard output, one JSON object a line.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/probe"
)

func main() {
	if err := probe.Serve(context.Background(), os.Stdin, os.Stdout, checks.Local()); err != nil {
		fmt.Fprintln(os.Stderr, "icepak-probe:", err)
		os.Exit(1)
	}
}
