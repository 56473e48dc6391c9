package cli

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/upmaru/icepak/spec"
)

var update = flag.Bool("update", false, "write golden files")

// runIn runs icepak in a folder with these files.
func runIn(t *testing.T, files map[string]string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	var out, errs strings.Builder
	env := &Env{In: strings.NewReader(""), Out: &out, Err: &errs, Getenv: func(string) string { return "" }, Environ: func() []string { return nil }}
	code = Run(t.Context(), args, env)
	return out.String(), errs.String(), code
}

func TestImagesListNamesWhatThereAreSpecsFor(t *testing.T) {
	const golden = "testdata/images.txt"
	want, err := os.ReadFile(golden)
	if err != nil && !*update {
		t.Fatal(err)
	}
	absolute, err := filepath.Abs(golden)
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := runIn(t, nil, "images", "list")
	if code != exitOK || stderr != "" {
		t.Fatalf("exit %d, stderr %q", code, stderr)
	}
	if *update {
		if err := os.WriteFile(absolute, []byte(stdout), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if stdout != string(want) {
		t.Errorf("got:\n%s", stdout)
	}
}

func TestImagesListHasWhatTheFolderImagesHas(t *testing.T) {
	stdout, _, code := runIn(t, map[string]string{"images/mine.yaml": "image: {os: mine}\nchecks: {up: {file: {/etc: {exists: true}}}}\n"},
		"images", "list", "--format", "json")
	var listed []listedSpec
	if err := json.Unmarshal([]byte(stdout), &listed); err != nil || code != exitOK {
		t.Fatalf("exit %d: %v", code, err)
	}
	first := listed[0]
	if first.Spec != "./images/mine.yaml" || strings.Join(first.Checks, " ") != "up" || len(first.Releases) != 0 || len(listed) < 13 {
		t.Errorf("%d are listed, first %+v", len(listed), first)
	}
}

func TestImagesShowsASpecWithWhatItIncludes(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string // of both
	}{
		{"a distribution", []string{"debian"}, exitOK, `(?s)^# images/debian.yaml\nimage:.*\n\n# images/common/all.yaml\n.*\n\n# images/common/hygiene.yaml\n.*\{\{`},
		{"a product", []string{"rockylinux:9:amd64:default"}, exitOK, `(?s)^# images/rockylinux.yaml\n.*\n# images/common/rpm.yaml\n`},
		{"rendered", []string{"debian:bookworm:amd64:cloud", "--render", "--set", "patience=77s"}, exitOK, `(?s)^[^{]*\{[^{].*within: 77s.*cloud-init/result.json`},
		{"a distribution that nobody has", []string{"debain"}, exitUsage, `got "debain"\n +did you mean "debian"\?`},
		{"a release that nobody has", []string{"debian:woody:amd64:default"}, exitUsage, `no built-in spec for debian:woody:amd64:default: images/debian.yaml is for the releases .*bookworm.* as default, cloud\n +name a spec`},
		{"a product of nobody's", []string{"plan9:4:amd64:default"}, exitUsage, `no built-in spec for plan9:4:amd64:default: there are those for almalinux, alpine, .*`},
		{"a format that is none", []string{"list"}, exitUsage, `want almalinux, alpine`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, code := runIn(t, nil, append([]string{"images", "show"}, tt.args...)...)
			if code != tt.code || !regexp.MustCompile(tt.want).MatchString(stdout+stderr) {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
		})
	}
}

// A spec for debian with a check of that name.
func debianSpec(check, release string) string {
	return "image: {os: debian, release: " + release + "}\nchecks: {" + check + ": {file: {/etc/{{.Product.Release}}: {exists: true}}}}\n"
}

func TestASpecOfYoursBeatsTheBuiltInOne(t *testing.T) {
	const product = "debian:bookworm:amd64:default"
	for _, tt := range []struct {
		name, file string
		files      map[string]string
		check      string // the first, which tells the specs apart
		note       string
		mistake    string
	}{
		{"none", "", nil, "boot", "", ""},
		{"one in the folder", "", map[string]string{"images/debian.yaml": debianSpec("mine", "bookworm")}, "mine",
			product + " is tested with ./images/debian.yaml, not with the built-in spec\n", ""},
		{"one of another name", "", map[string]string{"images/x.yaml": debianSpec("mine", "'b*'")}, "mine", "./images/x.yaml, not with", ""},
		{"one for another release", "", map[string]string{"images/debian.yaml": debianSpec("mine", "trixie")}, "boot", "", ""},
		{"no spec: what an image is built from", "", map[string]string{"images/debian.yaml": "image:\n  distribution: debian\nsource: {url: x}\n"}, "boot", "", ""},
		{"no spec: what others include", "", map[string]string{"images/common.yaml": "checks: {mine: {file: {/etc: {exists: true}}}}\n"}, "boot", "", ""},
		{"for no distribution", "", map[string]string{"images/a.yaml": "image: {arch: amd64}\nchecks: {mine: {file: {/etc: {exists: true}}}}\n"}, "boot", "", ""},
		{"two", "", map[string]string{"images/a.yaml": debianSpec("a", "bookworm"), "images/b.yaml": debianSpec("b", "bookworm")}, "", "",
			"./images/a.yaml and ./images/b.yaml are both for " + product},
		{"mistakes in all", "", map[string]string{"images/a.yaml": "image: {os: a}\nchecks: {a: {fil: {}}}\n", "images/b.yaml": "image: {os: b}\nchecks: {b: {fil: {}}}\n"}, "", "",
			"(?s)images/a.yaml:2:14: .*images/b.yaml:2:14: "},
		{"a named one", "named.yaml", map[string]string{"named.yaml": debianSpec("named", "bookworm"), "images/debian.yaml": debianSpec("mine", "bookworm")}, "named",
			product + " is tested with named.yaml, not with the built-in spec\n", ""},
		{"a named one for another product", "named.yaml", map[string]string{"named.yaml": debianSpec("named", "trixie")}, "", "", "named.yaml is not for"},
		{"a named one that is not there", "named.yaml", nil, "", "", "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			runIn(t, tt.files, "version") // leaves us in the folder
			var notes strings.Builder
			opts := specOptions{file: tt.file}
			s, err := opts.load(&Env{Err: &notes, Environ: func() []string { return nil }})
			var found *spec.Spec
			if err == nil {
				found, err = s.forProduct(product)
			}
			if tt.mistake != "" {
				if usage := (usageError{}); err == nil || !regexp.MustCompile(tt.mistake).MatchString(err.Error()) || !errors.As(err, &usage) && !errors.As(err, new(spec.Errors)) {
					t.Fatalf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			first := found.Checks[0]
			if first.Name != tt.check || !strings.Contains(notes.String(), tt.note) || (notes.Len() > 0) != (tt.note != "") {
				t.Errorf("check %s, said %q", first.Name, notes.String())
			}
			if id := first.Items[0].ID; tt.check != "boot" && id != "/etc/bookworm" {
				t.Errorf("the template sees another product: %s", id)
			}
		})
	}
}

func TestMistakesInTheFolderAreToldBeforeAnythingIsAsked(t *testing.T) {
	for _, args := range [][]string{
		{"test", "--feed", "http://127.0.0.1:1/", "debian:bookworm:amd64:default"}, {"images", "list"}, {"images", "show", "debian"},
	} {
		_, stderr, code := runIn(t, map[string]string{"images/alpine.yaml": "image: {os: alpine}\nchecks: {up: {fil: {/etc: {exists: true}}}}\n"}, args...)
		if code != exitUsage || !strings.Contains(stderr, `./images/alpine.yaml:2:15: unknown resource type "fil" (did you mean "file"?)`) {
			t.Errorf("%v: exit %d, %q", args, code, stderr)
		}
	}
}

// In the repository itself the folder has what is built in.
func TestACopyOfTheBuiltInSpecIsNotToldOf(t *testing.T) {
	t.Chdir("../../..")
	var notes strings.Builder
	opts := specOptions{}
	s, err := opts.load(&Env{Err: &notes, Environ: func() []string { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := s.forProduct("debian:bookworm:amd64:default"); err != nil || found.Path != "./images/debian.yaml" || notes.Len() > 0 {
		t.Errorf("%v, said %q", err, notes.String())
	}
}

// A product's built-in spec is looked for by that name.
func TestABuiltinSpecHasItsDistributionsName(t *testing.T) {
	all, err := builtinSpecs(spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if name := strings.TrimSuffix(path.Base(s.Path), ".yaml"); !slices.Equal(s.Image.OS, []string{name}) {
			t.Errorf("%s is for %v", s.Path, s.Image.OS)
		}
	}
	for _, product := range []string{"common/base:x:amd64:default", ":x:amd64:default", "*:x:amd64:default", "../images/debian:bookworm:amd64:default"} {
		var s specs
		if found, err := s.builtinFor(product); found != nil || err != nil {
			t.Errorf("%s: %v, %v", product, found, err)
		}
	}
}
