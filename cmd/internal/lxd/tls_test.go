package lxd_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

// Files and websockets take the same way as all else: the pinned one.
func TestInstanceOverTLS(t *testing.T) {
	inst := create(t, lxdtest.Connect(t, lxdtest.NewFar(t, lxdtest.Remote(t)).Remote))
	content := strings.Repeat("0123456789abcdef", 1<<16)
	if err := inst.Push(t.Context(), "/x", strings.NewReader(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := inst.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code, err := inst.Exec(t.Context(), lxd.ExecRequest{Args: []string{"cat", "/x", "-"}, Stdin: strings.NewReader("end"), Stdout: &out})
	if code != 0 || err != nil || out.String() != content+"end" {
		t.Errorf("exit %d, %v, %d bytes", code, err, out.Len())
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	within(t, func() {
		_, err := inst.Exec(ctx, lxd.ExecRequest{Args: endless, Stdout: &onFirstWrite{call: cancel}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	until(t, "the command is killed", func() bool {
		out.Reset()
		_, err := inst.Exec(t.Context(), lxd.ExecRequest{Args: []string{"ps"}, Stdout: &out})
		return err == nil && !strings.Contains(out.String(), "echo tick")
	})
	if err := inst.Delete(t.Context()); err != nil {
		t.Error(err)
	}
}
