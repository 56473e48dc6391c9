package lxd

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/canonical/lxd/shared/api"
)

func TestInitFault(t *testing.T) {
	const line = `lxc p_a 20261122222105.573 ERROR    start - ../src/lxc/start.c:start:2197 - `
	for log, want := range map[string]string{
		line + `No such file or directory - Failed to exec "/sbin/init"`:                                  "the image's /sbin/init: no such file or directory",
		line + `Exec format error - Failed to exec "/sbin/init"`:                                          "the image's /sbin/init: exec format error: it is of another architecture, or no program",
		line + `Cannot allocate memory - Failed to exec "/sbin/init"`:                                     "",
		`WARN cgfsng - No such file or directory - Failed to fchownat(34, memory.oom.group, 10000001, 0)`: "",
		"": "",
	} {
		if got := InitFault(log); got != want {
			t.Errorf("%q: got %q", log, got)
		}
	}
}

func TestProgressOf(t *testing.T) {
	tests := []struct {
		key, text string
		want      Progress
	}{
		{"download_progress", "rootfs: 31% (34.60MB/s)", Progress{"download", 31, "rootfs: 31% (34.60MB/s)"}},
		{"create_instance_from_image_unpack_progress", "Unpack: 100% (1.19GB/s)", Progress{"unpack", 100, "Unpack: 100% (1.19GB/s)"}},
		{"container_progress", "Remapping container filesystem", Progress{"unpack", 0, "Remapping container filesystem"}},
		{"download_progress", "999%", Progress{"download", 100, "999%"}},
	}
	for _, test := range tests {
		got, ok := progressOf(api.Operation{Metadata: map[string]any{test.key: test.text}})
		if !ok || got != test.want {
			t.Errorf("%s %q: got %+v", test.key, test.text, got)
		}
	}
	if got, ok := progressOf(api.Operation{Metadata: map[string]any{"download_progress": 3, "other": "1%"}}); ok {
		t.Errorf("got %+v", got)
	}
}

func TestHideToken(t *testing.T) {
	const server = "https://user:pa55word@images.example.com/spaces/t0k3n/"
	err := errors.New(`Get "https://user:pa55word@images.example.com/spaces/t0k3n/streams/v1/index.json": EOF`)
	got := hideToken(err, server).Error()
	if strings.Contains(got, "t0k3n") || strings.Contains(got, "pa55word") || !strings.Contains(got, "images.example.com") {
		t.Errorf("got %s", got)
	}
	missing := &NotFoundError{What: "image", Name: "ab"}
	if hideToken(missing, server) != error(missing) {
		t.Error("an error without a secret is changed")
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var out tail
	for range 1000 {
		if _, err := out.Write([]byte(strings.Repeat("x", 1000))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := out.Write([]byte("the end")); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); len(got) != maxLog || !strings.HasSuffix(got, "xthe end") || cap(out.kept) > 4*maxLog {
		t.Errorf("%d bytes of %d", len(got), cap(out.kept))
	}
}

func TestExitCode(t *testing.T) {
	failed := &operationError{"Failure", "Command not found"}
	tests := []struct {
		name     string
		metadata map[string]any
		err      error
		code     int
		fails    bool
	}{
		{"a success", map[string]any{"return": 0.0}, nil, 0, false},
		{"a command that is not there", map[string]any{"return": 127.0}, failed, 127, false},
		{"no code", nil, nil, -1, true},
		{"no code and an error", nil, failed, -1, true},
		{"LXD's own failure", map[string]any{"return": -1.0}, failed, -1, true},
		{"nonsense", map[string]any{"return": "0"}, nil, -1, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, err := exitCode(result{api.Operation{Metadata: test.metadata}, test.err})
			if code != test.code || (err != nil) != test.fails {
				t.Errorf("got %d, %v", code, err)
			}
		})
	}
}

func TestGuestErrorKnowsTheAgent(t *testing.T) {
	var agent *AgentError
	if !errors.As(guestError(&operationError{"Failure", "LXD VM agent isn't currently running"}), &agent) {
		t.Error("an operation's error is not known")
	}
	if !errors.As(guestError(api.NewStatusError(500, "Failed to connect to LXD agent")), &agent) {
		t.Error("a refusal is not known")
	}
	if errors.As(guestError(errors.New("dial unix /run/agent.socket")), &agent) {
		t.Error("our own connection is taken for the agent")
	}
}

// Whatever a server answers, reading it does not panic.
func FuzzAnswer(f *testing.F) {
	f.Add(`{"type":"sync","metadata":{"id":"a","status_code":200,"metadata":{"return":0,"fds":{"0":"x"},"download_progress":"rootfs: 31%"}}}`)
	f.Add(`{"type":"error","error":"Not Found","error_code":404}`)
	f.Add(`{"type":"sync","metadata":{"metadata":{"return":1e300,"container_progress":"99999999999999999999%"}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		var answer api.Response
		if json.Unmarshal([]byte(body), &answer) != nil {
			return
		}
		op, err := answer.MetadataAsOperation()
		if err != nil {
			return
		}
		if p, ok := progressOf(*op); ok && (p.Percent < 0 || p.Percent > 100) {
			t.Errorf("percent %d", p.Percent)
		}
		if code, err := exitCode(result{op: *op}); err == nil && (code < 0 || code > 255) {
			t.Errorf("exit code %d", code)
		}
	})
}
