package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// writeArtifacts writes the evidence of a failed image into a folder of its own
// under dir, and its result as JSON. It returns the folder, also with an error:
// some of it may be there.
func (r *Runner) writeArtifacts(dir string, res report.ImageResult) (string, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	folder, err := newFolder(dir, imageName(res.Image))
	if err != nil {
		return "", err
	}
	root, err := os.OpenRoot(folder) // names from a guest lead nowhere else
	if err != nil {
		return folder, err
	}
	defer root.Close()
	var errs []error
	used := map[string]bool{"result.json": true}
	for _, p := range res.Evidence {
		if err := root.WriteFile(pieceName(p.Name, used), []byte(p.Text+"\n"), 0o666); err != nil {
			errs = append(errs, err)
			break // a full disk is told of once
		}
	}
	data, err := report.EncodeJSON(report.Summary{Version: r.Version, Verdict: res.Verdict, Images: []report.ImageResult{res}})
	if err == nil {
		err = root.WriteFile("result.json", append(data, '\n'), 0o666)
	}
	return folder, errors.Join(append(errs, err)...)
}

// keepEvidence writes what is known of an image that did not pass, where that is
// wanted. What cannot be written decides nothing.
func (r *Runner) keepEvidence(res *report.ImageResult, w *Watch) {
	if r.Artifacts == "" || !faulty(res.Verdict) {
		return
	}
	var err error
	if res.Artifacts, err = r.writeArtifacts(r.Artifacts, *res); err != nil {
		w.Warn(fmt.Sprintf("the evidence is not written, or not all of it: %v", err))
	}
}

// faulty tells whether a verdict is one to be explained.
func faulty(v checks.Verdict) bool { return v == checks.Fail || v == checks.Error }

// newFolder makes a folder that was not there: earlier runs' evidence stays.
func newFolder(dir, name string) (string, error) {
	folder := filepath.Join(dir, name)
	for n := 2; ; n++ {
		err := os.Mkdir(folder, 0o777)
		if !errors.Is(err, fs.ErrExist) || n > 1000 {
			return folder, err
		}
		folder = filepath.Join(dir, fmt.Sprintf("%s-%d", name, n))
	}
}

// imageName names an image's folder: its product, serial, type and remote.
func imageName(i report.Image) string {
	var parts []string
	for _, p := range []string{i.Product, i.Serial, i.Type, i.Remote} {
		if p = safe(p, 80); p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, "_")
}

// pieceName names a piece's file, which no other piece has got.
func pieceName(name string, used map[string]bool) string {
	base := safe(name, 120)
	if base == "" {
		base = "unnamed"
	}
	ext := ".txt"
	if base == "console" {
		ext = ".log"
	}
	if strings.HasSuffix(base, ".log") || strings.HasSuffix(base, ".conf") || strings.HasSuffix(base, ".json") {
		ext = ""
	}
	file := base + ext
	for n := 2; used[strings.ToLower(file)]; n++ {
		file = fmt.Sprintf("%s-%d%s", base, n, ext)
	}
	used[strings.ToLower(file)] = true // on some file systems case does not count
	return file
}

var unsafe = regexp.MustCompile(`[^A-Za-z0-9._@+-]+`)

// safe is a name without anything that means something in a path or to a shell, of
// at most so many bytes.
func safe(name string, limit int) string {
	name = strings.Trim(unsafe.ReplaceAllString(name, "-"), ".-")
	return strings.Trim(name[:min(len(name), limit)], ".-")
}
