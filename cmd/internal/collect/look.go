package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/upmaru/icepak/checks"
)

// command is what a command prints. Without the program there is nothing to say.
func command(args ...string) func(context.Context, *checks.System) string {
	return func(ctx context.Context, sys *checks.System) string {
		out, err := sys.Exec(ctx, checks.Command{Args: args, Env: []string{"LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=cat"}})
		text := string(out.Stdout) + string(out.Stderr)
		switch {
		case errors.Is(err, fs.ErrNotExist) || lacks(err):
			return ""
		case err != nil:
			return text + fmt.Sprintf("\n(%v)", err)
		case out.ExitCode == 127: // a shell that did not find it
			return ""
		case out.ExitCode != 0 && strings.TrimSpace(text) != "":
			return text + fmt.Sprintf("\n(exit code %d)", out.ExitCode)
		}
		return text
	}
}

// lacks tells whether a program is not there.
func lacks(err error) bool {
	return err != nil && strings.Contains(err.Error(), "executable file not found")
}

// end is the end of a file, of the last so many lines.
func end(lines int, names ...string) func(context.Context, *checks.System) string {
	return func(_ context.Context, sys *checks.System) string {
		for _, name := range names {
			if text := lastLines(read(sys.FS, name), lines); text != "" {
				return text
			}
		}
		return ""
	}
}

// matching is the last so many lines of a file that match.
func matching(lines int, pattern, name string) func(context.Context, *checks.System) string {
	wanted := regexp.MustCompile(pattern)
	return func(_ context.Context, sys *checks.System) string {
		var kept []string
		for line := range strings.Lines(read(sys.FS, name)) {
			if wanted.MatchString(line) {
				kept = append(kept, line)
			}
		}
		return lastLines(strings.Join(kept, ""), lines)
	}
}

// files is the text of all files that globs match, each under its name, without
// comments and blank lines.
func files(globs ...string) func(context.Context, *checks.System) string {
	return func(ctx context.Context, sys *checks.System) string {
		var b strings.Builder
		for _, name := range glob(sys.FS, globs...) {
			if ctx.Err() != nil || b.Len() > maxPiece {
				break
			}
			if text := uncommented(read(sys.FS, name)); text != "" || !isDir(sys.FS, name) {
				b.WriteString(header(name) + text + "\n")
			}
		}
		return b.String()
	}
}

// whole is a file's text as it is.
func whole(name string) func(context.Context, *checks.System) string {
	return func(_ context.Context, sys *checks.System) string { return read(sys.FS, name) }
}

// names lists the files that globs match.
func names(globs ...string) func(context.Context, *checks.System) string {
	return func(_ context.Context, sys *checks.System) string {
		return strings.Join(glob(sys.FS, globs...), "\n")
	}
}

// header is the line above a file's text where there are several.
func header(name string) string { return "==> " + name + " <==\n" }

// maxFiles bounds what a glob may match.
const maxFiles = 200

// glob returns the absolute paths that the globs match, each once.
func glob(root fs.FS, globs ...string) []string {
	var all []string
	for _, g := range globs {
		found, err := fs.Glob(root, strings.TrimPrefix(g, "/"))
		if err != nil {
			continue // the patterns are ours, and a folder that cannot be read has no files
		}
		for _, name := range found {
			if name = "/" + name; !slices.Contains(all, name) && len(all) < maxFiles {
				all = append(all, name)
			}
		}
	}
	return all
}

func isDir(root fs.FS, name string) bool {
	fi, err := fs.Stat(root, strings.TrimPrefix(name, "/"))
	return err == nil && fi.IsDir()
}

// read returns the end of a regular file, or nothing. Pipes and devices are left
// alone: reading them may hang or use them up.
func read(root fs.FS, name string) string {
	name = strings.TrimPrefix(path.Clean(name), "/")
	fi, err := fs.Stat(root, name)
	if err != nil || !fi.Mode().IsRegular() {
		return ""
	}
	f, err := root.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	if s, ok := f.(io.Seeker); ok && fi.Size() > 2*maxPiece {
		_, _ = s.Seek(fi.Size()-2*maxPiece, io.SeekStart) // else from its start
	}
	data, err := io.ReadAll(io.LimitReader(f, 2*maxPiece))
	if err != nil && len(data) == 0 {
		return ""
	}
	return string(data)
}

// uncommented leaves out blank lines and those that are comments.
func uncommented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if t := strings.TrimSpace(line); t != "" && t[0] != '#' && t[0] != ';' {
			b.WriteString(strings.TrimRight(line, "\r\n") + "\n")
		}
	}
	return b.String()
}

// lastLines returns the last so many lines.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
