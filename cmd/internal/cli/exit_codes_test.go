package cli

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Scripts rely on the exit codes of docs/exit-codes.md.
func TestExitCodes(t *testing.T) {
	broken := httptest.NewServer(http.NotFoundHandler())
	defer broken.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()

	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{
		"pass.yaml":      "checks: {a: {file: {/: {exists: true}}}}",
		"fail.yaml":      "checks: {a: {file: {/: {exists: false}}}}",
		"both.yaml":      "checks: {a: {file: {/: {exists: false}}}, b: {file: {/: {exists: true}}}}",
		"skip.yaml":      "checks: {a: {when: {type: container}, file: {/: {exists: true}}}}",
		"bad.yaml":       "checks: {a: {fle: {/: {exists: true}}}}",
		"lxc/config.yml": "default-remote: gone\nremotes: {gone: {addr: \"" + strings.Replace(gone.URL, "http:", "https:", 1) + "\"}}\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	polarThere := map[string]string{"POLAR_AUTH_TOKEN": "x", "POLAR_ENDPOINT": broken.URL}
	polarGone := map[string]string{"POLAR_AUTH_TOKEN": "x", "POLAR_ENDPOINT": gone.URL}
	state := map[string]string{"ICEPAK_STATE": filepath.Join(dir, "state")}
	const version = " debian:bookworm:amd64:default 20261122-01"
	tests := []struct {
		args string
		vars map[string]string
		want int
	}{
		{"test --local --spec pass.yaml", nil, exitOK},
		{"test --local --spec fail.yaml", nil, exitFailed},
		{"test --local --spec both.yaml", nil, exitFailed},
		{"test --local --spec skip.yaml", nil, exitUnknown},
		{"test --local --spec bad.yaml", nil, exitUsage},
		{"test --local --spec none.yaml", nil, exitUsage},
		{"test --local --spec pass.yaml --check b", nil, exitUsage},
		{"test --local --spec pass.yaml --nope", nil, exitUsage},
		{"test", nil, exitUsage},
		{"test --local --spec pass.yaml --format json=none/report", nil, exitUnknown},
		{"test --local --spec pass.yaml --format json=/dev/full", nil, exitUnknown},
		{"test --local --spec fail.yaml --format json=/dev/full", nil, exitFailed},
		{"test --local --spec pass.yaml --format jsonl=/dev/full", nil, exitUnknown},
		{"test --local --spec fail.yaml --format silent", nil, exitFailed},
		{"test --local --spec pass.yaml --format silent", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": gone.URL}, exitOK},
		{"test --local --spec fail.yaml --format silent", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": gone.URL}, exitFailed},
		{"test --image x --spec pass.yaml", nil, exitUnknown},
		{"test --image x --spec pass.yaml --remote nope", nil, exitUsage},
		{"test --feed " + gone.URL + " debian:bookworm:amd64:default", nil, exitUnknown},
		{"resume", state, exitOK},
		{"resume --list", state, exitOK},
		{"resume k3w7", state, exitUsage},
		{"resume", nil, exitUnknown},
		{"validate", nil, exitUsage},
		{"push", nil, exitUsage},
		{"status", nil, exitUsage},
		{"status", polarGone, exitUnknown},
		{"promote" + version, nil, exitUsage},
		{"demote" + version, polarThere, exitUnknown},
		{"clean", nil, exitUnknown},
		{"clean --remote nope", nil, exitUsage},
		{"shell x", nil, exitUnknown},
		{"shell --remote nope", nil, exitUsage},
		{"spec validate pass.yaml", nil, exitOK},
		{"spec validate pass.yaml bad.yaml", nil, exitUsage},
		{"spec render none.yaml", nil, exitUsage},
		{"spec schema", nil, exitOK},
		{"images list", nil, exitOK},
		{"add file / --spec new.yaml", nil, exitOK},
		{"add nope / --spec new.yaml", nil, exitUsage},
		{"autoadd no-such-thing --spec new.yaml", nil, exitUsage},
		{"version", nil, exitOK},
		{"tset", nil, exitUsage},
		{"polar cluster check nope", nil, exitUsage},
		{"polar gc", nil, exitOK},
		{"polar password", nil, exitUsage},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			vars := map[string]string{"LXD_CONF": filepath.Join(dir, "lxc"), "ICEPAK_POLAR_DATA": filepath.Join(dir, "polar")}
			for name, value := range tt.vars {
				vars[name] = value
			}
			if code, said := runWith(t.Context(), vars, tt.args); code != tt.want {
				t.Errorf("exit code %d, want %d: %s", code, tt.want, said)
			}
		})
	}
}

func TestAnInterruptedRunEndsWith130(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	t.Chdir(t.TempDir())
	for name, spec := range map[string]string{"pass": "checks: {a: {file: {/: {exists: true}}}}", "fail": "checks: {a: {file: {/: {exists: false}}}}"} {
		if err := os.WriteFile(name, []byte(spec), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, said := runWith(ctx, nil, "test --local --spec "+name); code != exitInterrupted {
			t.Errorf("%s: exit code %d: %s", name, code, said)
		}
	}
}

// runWith runs icepak with the variables and returns what it ends with and has said.
func runWith(ctx context.Context, vars map[string]string, args string) (int, string) {
	var said strings.Builder
	code := Run(ctx, strings.Fields(args), &Env{
		In: strings.NewReader(""), Out: &said, Err: &said, Version: "1.2.3",
		Getenv: func(name string) string { return vars[name] }, Environ: func() []string { return nil },
	})
	return code, said.String()
}
