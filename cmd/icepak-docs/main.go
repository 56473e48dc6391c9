// Icepak-docs writes what a release carries beside the program: manual pages,
// completions for shells, and the licences of what is linked.
//
// usage: icepak-docs DIR [VERSION]
//
// The pages' date is SOURCE_DATE_EPOCH, seconds since 1970; it is not today's, so that
// the same source makes the same files.
package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/upmaru/icepak/cmd/internal/cli"
	"github.com/upmaru/icepak/cmd/internal/licences"
	"github.com/upmaru/icepak/cmd/internal/manual"
)

func main() {
	if len(os.Args) < 2 || len(os.Args) > 3 {
		fmt.Fprintln(os.Stderr, "usage: icepak-docs DIR [VERSION]")
		os.Exit(2)
	}
	release := manual.Release{Version: "devel", Date: time.Unix(0, 0)}
	if len(os.Args) == 3 {
		release.Version = os.Args[2]
	}
	if err := run(context.Background(), os.Args[1], release); err != nil {
		fmt.Fprintln(os.Stderr, "icepak-docs:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, release manual.Release) error {
	if s := os.Getenv("SOURCE_DATE_EPOCH"); s != "" {
		seconds, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
		}
		release.Date = time.Unix(seconds, 0)
	}
	if err := os.RemoveAll(dir); err != nil { // a page of a command that is gone would stay
		return err
	}
	return errors.Join(
		writePages(filepath.Join(dir, "man"), release),
		writeCompletions(filepath.Join(dir, "completions")),
		writeLicences(ctx, filepath.Join(dir, "LICENSES")),
	)
}

// writePages compresses the pages, as distributions have them and man reads them.
func writePages(dir string, release manual.Release) error {
	for name, text := range manual.Pages(cli.Commands(), release) {
		err := write(filepath.Join(dir, name+".gz"), func(w io.Writer) error {
			z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
			if err != nil {
				return err
			}
			_, err = z.Write(text)
			return errors.Join(err, z.Close())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func writeCompletions(dir string) error {
	root := cli.Commands()
	return errors.Join(
		write(filepath.Join(dir, "icepak.bash"), func(w io.Writer) error { return root.GenBashCompletionV2(w, true) }),
		write(filepath.Join(dir, "icepak.zsh"), root.GenZshCompletion),
		write(filepath.Join(dir, "icepak.fish"), func(w io.Writer) error { return root.GenFishCompletion(w, true) }),
	)
}

func writeLicences(ctx context.Context, path string) error {
	works, err := licences.Linked(ctx, ".")
	if err != nil {
		return err
	}
	return write(path, func(w io.Writer) error { return licences.WriteTexts(w, works) })
}

// write makes a file, and the folder that it is in.
func write(path string, content func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := content(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
