package spec

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

const (
	maxIncludes = 50   // files that include each other, one in the next
	maxFiles    = 1000 // files that a spec is read from
)

// Load reads the spec in a file, with its includes. Where the spec has
// mistakes, the error is of type Errors and has all of them.
func Load(path string, opts Options) (*Spec, error) {
	return newLoader(osFiles{}, opts).load(path)
}

// LoadFS is Load in a file system. Includes resolve inside it.
func LoadFS(fsys fs.FS, path string, opts Options) (*Spec, error) {
	return newLoader(fsFiles{fsys}, opts).load(path)
}

// Parse reads a spec from its text. Includes are relative to the name, as if it
// were a file's.
func Parse(name string, data []byte, opts Options) (*Spec, error) {
	return newLoader(osFiles{}, opts).parse(name, data)
}

// Render returns the text of a file with its templates carried out, which is
// what positions are those of. Included files are not in it.
func Render(path string, opts Options) ([]byte, error) {
	l := newLoader(osFiles{}, opts)
	data, err := l.read(path)
	if err != nil {
		return nil, err
	}
	text, _, ok := l.render(path, data, opts.Vars)
	if !ok {
		return nil, l.probs.err()
	}
	return []byte(text), nil
}

// files is where a spec and its includes are read from.
type files interface {
	open(name string) (fs.File, error)
	glob(pattern string) ([]string, error)
	// join returns the name of what a file refers to. Where that is a pattern,
	// only the reference is one.
	join(file, ref string) string
}

type osFiles struct{}

func (osFiles) open(name string) (fs.File, error)     { return os.Open(name) }
func (osFiles) glob(pattern string) ([]string, error) { return filepath.Glob(pattern) }
func (osFiles) join(file, ref string) string {
	if filepath.IsAbs(ref) {
		return filepath.Clean(ref)
	}
	return filepath.Join(literal(filepath.Dir(file), ref), ref)
}

type fsFiles struct{ fs.FS }

func (f fsFiles) open(name string) (fs.File, error)     { return f.Open(name) }
func (f fsFiles) glob(pattern string) ([]string, error) { return fs.Glob(f.FS, pattern) }
func (f fsFiles) join(file, ref string) string {
	return path.Join(literal(path.Dir(file), ref), ref)
}

// isPattern tells whether a reference is a glob.
func isPattern(ref string) bool { return strings.ContainsAny(ref, `*?[`) }

// literal returns the folder so that it stands for itself before a pattern.
func literal(dir, ref string) string {
	if !isPattern(ref) {
		return dir
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// A loader reads one spec.
type loader struct {
	decoder
	files  files
	opts   Options
	spec   *Spec
	byName map[string]int // places in spec.Checks
	needs  []need
	count  int // files included
}

func newLoader(f files, opts Options) *loader {
	return &loader{
		decoder: newDecoder(),
		files:   f,
		opts:    opts,
		spec:    newSpec(),
		byName:  make(map[string]int),
	}
}

// A file is one that is being read.
type file struct {
	name   string
	root   *node
	vars   map[string]any // what its templates see, and those of what it includes
	parent *file          // the one that includes it
}

func (l *loader) load(name string) (*Spec, error) {
	data, err := l.read(name)
	if err != nil {
		return nil, err
	}
	return l.parse(name, data)
}

func (l *loader) parse(name string, data []byte) (*Spec, error) {
	l.spec.Path = name
	f := l.open(name, data, nil)
	if f != nil {
		l.file(f)
		l.checkNeeds()
	}
	if len(l.spec.Checks) == 0 && len(l.probs.list) == 0 {
		l.probs.add(f.root.position, "", "the spec has no checks")
	}
	if err := l.probs.err(); err != nil {
		return nil, err
	}
	return l.spec, nil
}

// read returns a file's contents, which are bounded.
func (l *loader) read(name string) ([]byte, error) {
	f, err := l.files.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxText {
		return nil, fmt.Errorf("%s: the file is larger than %d bytes", name, maxText)
	}
	return data, nil
}

// open renders and parses a file. Where it returns nil, it has said why.
func (l *loader) open(name string, data []byte, parent *file) *file {
	outer := l.opts.Vars
	if parent != nil {
		outer = parent.vars
	}
	text, vars, ok := l.render(name, data, outer)
	if !ok {
		return nil
	}
	l.spec.Files = append(l.spec.Files, File{name, string(data), text})
	if parent != nil && vars != nil && isEmpty(text) { // its templates have nothing to say here
		return &file{name, &node{position: position{file: name}, kind: mapping}, vars, parent}
	}
	root := parseNode(name, text, l.probs)
	if root == nil {
		return nil
	}
	if root.kind != mapping {
		l.want(root, "a mapping")
		return nil
	}
	own := root.get("vars")
	switch {
	case vars == nil: // there were no templates
		vars = MergeVars(l.vars(own), outer)
	case own != nil && varsBlock(text) == "":
		l.probs.add(own.position, "", "vars must begin a line to be seen by templates")
	}
	return &file{name, root, vars, parent}
}

// render returns a file's text as it is to be parsed, and where it had
// templates the vars that they saw: its own under the outer ones. Where it
// returns false, it has said why.
func (l *loader) render(name string, data []byte, outer map[string]any) (string, map[string]any, bool) {
	state := l.probs.file(name)
	text, ok := l.text(name, data)
	if !ok {
		return "", nil, false
	}
	if !hasTemplates(text) {
		return text, nil, true
	}
	own, ok := l.readVars(name, text)
	if !ok {
		return "", nil, false
	}
	vars := MergeVars(own, outer)
	r := renderer{name: name, vars: vars, env: l.opts.Env, product: productOf(l.opts.Product), probs: l.probs}
	r.read = func(ref string) ([]byte, error) { return l.read(l.files.join(name, ref)) }
	rendered, ok := r.render(text)
	state.moved = ok && !sameLines(text, rendered)
	if i := strings.Index(rendered, noValue); i >= 0 && !strings.Contains(text, noValue) {
		l.probs.add(positionIn(name, rendered, i), "", "template: it prints a value that is not there")
	}
	return rendered, vars, ok
}

// text returns a file's text without what systems put at its start and at the
// ends of lines. Where it returns false, it has said why.
func (l *loader) text(name string, data []byte) (string, bool) {
	text := strings.TrimPrefix(string(data), "\uFEFF")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	if i := invalidUTF8(text); i >= 0 {
		l.probs.add(positionIn(name, text, i), "", "the text is not UTF-8")
		return "", false
	}
	return text, true
}

// noValue is what templates print for nil, such as for what index does not find.
const noValue = "<no value>"

// positionIn is the place of a text's byte i.
func positionIn(name, text string, i int) position {
	before := text[:i]
	start := strings.LastIndex(before, "\n") + 1
	return position{name, strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1}
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return i
			}
		}
	}
	return -1
}
