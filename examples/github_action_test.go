package examples

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// An action is what action.yml says.
type action struct {
	Inputs  map[string]struct{ Default string }
	Outputs map[string]struct{ Value string }
	Runs    struct {
		Using string
		Steps []struct {
			ID, Uses, Shell, Run string
			Env                  map[string]string
		}
	}
}

func readAction(t *testing.T) action {
	t.Helper()
	data, err := os.ReadFile("../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var a action
	if err := yaml.Unmarshal(data, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// Nobody's code but ours is run, and no input is run as code.
func TestTheActionRunsNothingOfOthers(t *testing.T) {
	a := readAction(t)
	if a.Runs.Using != "composite" || len(a.Runs.Steps) == 0 {
		t.Fatalf("it is no composite action: %+v", a.Runs)
	}
	for _, step := range a.Runs.Steps {
		if step.Uses != "" || step.Shell != "bash" || strings.Contains(step.Run, "${{") {
			t.Errorf("a step uses %q, or runs %q in %q", step.Uses, step.Run, step.Shell)
		}
	}
}

func TestTheExampleOfTheActionGivesItsInputs(t *testing.T) {
	a := readAction(t)
	data, err := os.ReadFile("github-action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct {
				Uses string
				With map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(data, &workflow); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, job := range workflow.Jobs {
		for _, step := range job.Steps {
			if !strings.HasPrefix(step.Uses, "upmaru/icepak@") {
				continue
			}
			found = true
			for name := range step.With {
				if _, ok := a.Inputs[name]; !ok {
					t.Errorf("the action has no input %q", name)
				}
			}
			if want := "upmaru/icepak@v" + step.With["version"]; step.Uses != want {
				t.Errorf("it uses %s, want %s", step.Uses, want)
			}
		}
	}
	if !found {
		t.Error("the action is not used")
	}
	for _, m := range regexp.MustCompile(`steps\.icepak\.outputs\.(\w+)`).FindAllSubmatch(data, -1) {
		if _, ok := a.Outputs[string(m[1])]; !ok {
			t.Errorf("the action has no output %q", m[1])
		}
	}
}

func TestTheAction(t *testing.T) {
	const runs = "#!/bin/sh\n[ $1 = version ] && exit\nfor a; do case $a in json=*) echo {} >${a#json=} ;; esac; echo \"<$a>\"; done\n"
	for name, c := range map[string]struct {
		inputs, env map[string]string
		icepak      string // the released program
		spoil       bool   // after its checksum was taken
		code        int
		said        []string
		outputs     []string
	}{
		"all inputs": {
			inputs: map[string]string{
				"products": "debian:bookworm:amd64:default\nalpine:3.22:amd64:*\n", "remote": "rack 1", "spec": "a spec.yaml",
				"promote": "true", "args": "--type container\n--serial $(id)", "version": "v2.0.0",
			},
			icepak:  runs,
			said:    []string{"<--format>\n<github>", "<--promote=true>", "<--remote>\n<rack 1>", "<--spec>\n<a spec.yaml>", "<--type>\n<container>\n<--serial>\n<$(id)>\n<-->\n<debian:bookworm:amd64:default>\n<alpine:3.22:amd64:*>\n"},
			outputs: []string{"verdict=pass", "report=/"},
		},
		"no inputs":            {inputs: map[string]string{"promote": ""}, icepak: runs, said: []string{"<--promote=false>\n<-->\n"}, outputs: []string{"verdict=pass", "report=/"}},
		"arm64":                {env: map[string]string{"RUNNER_ARCH": "ARM64"}, icepak: runs, outputs: []string{"verdict=pass", "report=/"}},
		"a failed check":       {icepak: runs + "exit 1\n", code: 1, outputs: []string{"verdict=fail", "report=/"}},
		"a mistake":            {icepak: "#!/bin/sh\n[ $1 = version ] || exit 2\n", code: 2, outputs: []string{"verdict=error"}},
		"nothing found out":    {icepak: runs + "exit 3\n", code: 3, outputs: []string{"verdict=error", "report=/"}},
		"a bad checksum":       {icepak: runs, spoil: true, code: 3, said: []string{"::error title=icepak::icepak_2.0.0_linux_amd64.tar.gz is not what checksums.txt says"}},
		"no such version":      {inputs: map[string]string{"version": "9.9.9"}, icepak: runs, code: 3, said: []string{"/download/v9.9.9/checksums.txt could not be fetched"}},
		"no version at all":    {inputs: map[string]string{"version": "../x"}, icepak: runs, code: 3, said: []string{"want a number such as 2.0.0"}},
		"another system":       {env: map[string]string{"RUNNER_OS": "Windows"}, icepak: runs, code: 3, said: []string{"not on Windows X64"}},
		"another architecture": {env: map[string]string{"RUNNER_ARCH": "ARM"}, icepak: runs, code: 3, said: []string{"not on Linux ARM"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(releases(t, c.icepak, c.spoil))
			defer server.Close()
			inputs := map[string]string{"releases": server.URL + "/releases"}
			for name, value := range c.inputs {
				inputs[name] = value
			}
			code, said, outputs := runAction(t, inputs, c.env)
			if code != c.code {
				t.Errorf("it ended with %d, want %d", code, c.code)
			}
			for _, want := range c.said {
				if !strings.Contains(said, want) {
					t.Errorf("%q was not said", want)
				}
			}
			if !slices.EqualFunc(outputs, c.outputs, strings.HasPrefix) {
				t.Errorf("outputs %q, want %q", outputs, c.outputs)
			}
			if t.Failed() {
				t.Log(said)
			}
		})
	}
}

// releases serves version 2.0.0, which is the latest, as GitHub does.
func releases(t *testing.T, icepak string, spoil bool) http.Handler {
	t.Helper()
	var archive bytes.Buffer
	z := gzip.NewWriter(&archive)
	files := tar.NewWriter(z)
	header := &tar.Header{Name: "icepak", Mode: 0o755, Size: int64(len(icepak))}
	err := files.WriteHeader(header)
	_, werr := files.Write([]byte(icepak))
	if err := errors.Join(err, werr, files.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	var sums strings.Builder
	for _, name := range []string{"icepak_2.0.0_darwin_arm64.tar.gz", "icepak_2.0.0_linux_amd64.tar.gz.sbom.json", "icepak_2.0.0_linux_amd64.tar.gz", "icepak_2.0.0_linux_arm64.tar.gz"} {
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(archive.Bytes()), name)
	}
	served := archive.Bytes()
	if spoil {
		served = append(served, 0)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dir, name := filepath.Split(r.URL.Path)
		switch {
		case dir != "/releases/download/v2.0.0/" && dir != "/releases/latest/download/":
			http.NotFound(w, r)
		case name == "checksums.txt":
			fmt.Fprint(w, sums.String())
		case strings.HasSuffix(name, ".tar.gz") && strings.Contains(sums.String(), name):
			_, _ = w.Write(served)
		default:
			http.NotFound(w, r)
		}
	})
}

// runAction does as GitHub's runner: one step after the other until one fails, with the
// PATH and the outputs that they write into files.
func runAction(t *testing.T, inputs, env map[string]string) (code int, said string, outputs []string) {
	t.Helper()
	a := readAction(t)
	dir := t.TempDir()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{"github.action_path": root}
	for name, input := range a.Inputs {
		values["inputs."+name] = input.Default
		if given, ok := inputs[name]; ok {
			values["inputs."+name] = given
		}
	}
	expression := regexp.MustCompile(`\$\{\{ ([a-z_.]+) \}\}`)
	pathFile, outputFile := filepath.Join(dir, "path"), filepath.Join(dir, "output")
	for _, step := range a.Runs.Steps {
		added, _ := os.ReadFile(pathFile)
		path := append(slices.Collect(strings.Lines(string(added))), os.Getenv("PATH"))
		cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.Run)
		cmd.Dir = dir
		cmd.Env = []string{
			"PATH=" + strings.ReplaceAll(strings.Join(path, ":"), "\n", ""), "RUNNER_TEMP=" + dir, "RUNNER_OS=Linux", "RUNNER_ARCH=X64",
			"GITHUB_PATH=" + pathFile, "GITHUB_OUTPUT=" + outputFile,
		}
		for name, value := range env {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		for name, value := range step.Env {
			cmd.Env = append(cmd.Env, name+"="+expression.ReplaceAllStringFunc(value, func(e string) string {
				v, ok := values[expression.FindStringSubmatch(e)[1]]
				if !ok {
					t.Errorf("%s is no value", e)
				}
				return v
			}))
		}
		out, err := cmd.CombinedOutput()
		said += string(out)
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	written, _ := os.ReadFile(outputFile)
	return code, said, slices.Collect(strings.Lines(string(written)))
}
