package checks

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
)

// FindResource is the files that are in some folders, chosen by what they are.
type FindResource struct {
	Common
	Paths      []string `json:"paths,omitempty"`
	Depth      int      `json:"depth,omitempty"` // 1 is what is right in the folders; 0 the whole tree
	Filetype   string   `json:"type,omitempty" oneof:"file,directory,symlink,pipe,socket,character-device,block-device"`
	Names      []string `json:"names,omitempty"`
	Except     []string `json:"except,omitempty"`
	WritableBy string   `json:"writable-by,omitempty" oneof:"others,group"`
	Setuid     bool     `json:"setuid,omitempty"`
	Larger     Bytes    `json:"larger,omitempty"`
	Found      Matcher  `json:"found,omitzero" kind:"list"`
	Count      Matcher  `json:"count,omitzero" kind:"int"`
	Size       Matcher  `json:"size,omitzero" kind:"size"`
}

func (*FindResource) needsFilesOnly() {}

// Mistake says what is wrong with the attributes together, or nothing.
func (f *FindResource) Mistake() string {
	paths := f.paths()
	if len(paths) == 0 {
		return "where to look is not said: paths, or an id that is a path, begin with a /"
	}
	if f.Depth < 0 {
		return "depth counts from 1"
	}
	for _, list := range [][]string{paths, f.Names, f.Except} {
		for _, pattern := range list {
			if _, err := path.Match(pattern, ""); err != nil {
				return fmt.Sprintf("%q is no pattern: a [ or \\ is not closed", head(pattern, 80))
			}
		}
	}
	for _, p := range append(paths, f.Except...) {
		if !strings.HasPrefix(p, "/") {
			return fmt.Sprintf("a path begins with a /, not %q", head(p, 80))
		}
	}
	for _, name := range f.Names {
		if strings.Contains(name, "/") {
			return fmt.Sprintf("names are without folders, not %q", head(name, 80))
		}
	}
	return ""
}

func (f *FindResource) paths() []string {
	if len(f.Paths) == 0 && strings.HasPrefix(f.Key, "/") {
		return []string{f.Key}
	}
	return f.Paths
}

// Evaluate looks through the folders once. Links are not followed, and other file
// systems not entered.
func (f *FindResource) Evaluate(ctx context.Context, sys *System) []Result {
	var r results
	s := search{ctx: ctx, root: sys.FS, want: f}
	var err error
	if wrong := f.Mistake(); wrong != "" {
		err = inconclusive{errors.New(wrong)}
	} else {
		err = s.run(f.paths())
	}
	if err != nil {
		r.errRest(err)
	}
	found := s.paths()
	r.find("found", f.Found, func() (any, error) {
		if s.count > len(found) {
			return nil, inconclusivef("there are %d, too many to be listed: count them", s.count)
		}
		return found, nil
	})
	r.match("count", f.Count, s.count)
	if last := r.last(); err == nil && f.Count.IsSet() && last.Message == "" && s.count > 0 {
		r.explain("for instance " + strings.Join(found[:min(3, len(found))], ", "))
	}
	r.match("size", f.Size, s.size)
	return r.list
}

func (*FindResource) undescribed() []string { return []string{"size"} }
