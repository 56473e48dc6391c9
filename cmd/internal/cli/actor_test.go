package cli

import (
	"os"
	"testing"
)

func TestActor(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		vars map[string]string
		want string
	}{
		{"a CI run", map[string]string{"GITHUB_ACTOR": "octocat", "GITHUB_RUN_ID": "42", "USER": "runner"}, "octocat (run 42)"},
		{"without its number", map[string]string{"GITHUB_ACTOR": "octocat", "USER": "runner"}, "octocat"},
		{"a person", map[string]string{"USER": "maintainer"}, "maintainer@" + host},
		{"a log-in name", map[string]string{"LOGNAME": "maintainer"}, "maintainer@" + host},
		{"nobody", nil, "icepak@" + host},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := actor(&Env{Getenv: func(name string) string { return tt.vars[name] }}); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
