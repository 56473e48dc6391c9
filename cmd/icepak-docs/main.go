// Icepak-docs writes what a release carries beside the program: manual pages,
// completions for shells and the licences of what is linked into a folder, or with
// -sbom the bill of materials of a program into a file.
//
// The date is the commit's, not today's: the same source makes the same files.
package main

import (
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/upmaru/icepak/cmd/internal/cli"
	"github.com/upmaru/icepak/cmd/internal/licences"
	"github.com/upmaru/icepak/cmd/internal/manual"
	"github.com/upmaru/icepak/cmd/internal/sbom"
)

func main() {
	var version, program string
	var date time.Time
	flag.StringVar(&version, "version", "devel", "the release")
	flag.TextVar(&date, "date", time.Unix(0, 0).UTC(), "its date, as 2026-11-22T00:00:00Z")
	flag.StringVar(&program, "sbom", "", "describe this `program` instead")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: icepak-docs [flags] DIR\n       icepak-docs [flags] -sbom PROGRAM FILE")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, to := context.Background(), flag.Arg(0)
	var err error
	if program != "" {
		err = writeSBOM(ctx, to, program, sbom.Release{Version: version, Date: date})
	} else {
		err = writeDocs(ctx, to, manual.Release{Version: version, Date: date})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "icepak-docs:", err)
		os.Exit(1)
	}
}

func writeDocs(ctx context.Context, dir string, release manual.Release) error {
	if err := os.RemoveAll(dir); err != nil { // a page of a command that is gone would stay
		return err
	}
	return errors.Join(
		writePages(filepath.Join(dir, "man"), release),
		writeCompletions(filepath.Join(dir, "completions")),
		writeLicences(ctx, filepath.Join(dir, "LICENSES")),
	)
}

func writeSBOM(ctx context.Context, path, program string, release sbom.Release) error {
	works, err := licences.Linked(ctx, ".")
	if err != nil {
		return err
	}
	return write(path, func(w io.Writer) error { return sbom.Write(w, program, works, release) })
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
