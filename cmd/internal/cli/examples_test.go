package cli

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// The lines of a workflow of Icepak 1 are understood as they are.
func TestTheLinesOfAWorkflowOfIcepak1(t *testing.T) {
	data, err := os.ReadFile("../../../examples/github-actions-v1.yml")
	if err != nil {
		t.Fatal(err)
	}
	var workflow struct {
		Jobs map[string]struct{ Steps []struct{ Run string } }
	}
	if err := yaml.Unmarshal(data, &workflow); err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{} // by command
	for _, job := range workflow.Jobs {
		for _, step := range job.Steps {
			if line, ok := strings.CutPrefix(strings.TrimSpace(step.Run), "icepak "); ok {
				lines[strings.Fields(line)[0]] = line
			}
		}
	}
	values := strings.NewReplacer(
		"steps.generate-serial.outputs.serial", "20261122-7", "matrix.release.distro", "alpine", "matrix.os.arch", "aarch64",
		"matrix.release.version", "3.22", "matrix.release.checks", "ipv4,ipv6", "\"", "",
	)
	for _, command := range []string{"push", "validate"} {
		t.Run(command, func(t *testing.T) {
			line := regexp.MustCompile(`\$\{\{ *([^ }]*) *\}\}`).ReplaceAllString(lines[command], "$1")
			args := strings.Fields(values.Replace(line))
			env := &Env{Getenv: func(string) string { return "" }}
			cmd, rest, err := newRootCommand(env).Find(args)
			if err != nil || cmd.Name() != command {
				t.Fatalf("%q: %v", line, err)
			}
			if err := cmd.ParseFlags(rest); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			flags := map[string]string{"serial": "20261122-7", "os": "alpine", "arch": "aarch64", "release": "3.22", "variant": "default"}
			if command == "validate" {
				flags["checks"] = "[ipv4,ipv6]"
			}
			for name, want := range flags {
				if f := cmd.Flags().Lookup(name); f == nil || f.Value.String() != want {
					t.Errorf("--%s is not %s in %q", name, want, line)
				}
			}
			if left := cmd.Flags().Args(); len(left) > 0 {
				t.Errorf("%q has %q besides", line, left)
			}
		})
	}
}
