package lxd_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest/fakevm"
)

// A command's connections are made while its guest starts. What it says must not depend
// on them.
func TestExecOverConnectionsThatWereMadeBefore(t *testing.T) {
	const fingerprint = "f0"
	played := &fakevm.Server{Driver: "lxc", Images: map[string]map[string]string{fingerprint: {}},
		Replay: func(given []byte) []byte { return append([]byte("told "), given...) }}
	far := lxdtest.NewFar(t, lxd.Remote{Addr: played.Start(t)})
	s := lxdtest.Connect(t, far.Remote)
	for name, trouble := range map[string]func(*lxd.Instance){
		"":                       func(*lxd.Instance) {},
		"that the server closes": func(*lxd.Instance) { far.Cut() },
		"that a command had":     func(inst *lxd.Instance) { told(t, inst) },
	} {
		t.Run("connections "+name, func(t *testing.T) {
			inst, err := s.Create(t.Context(), lxd.Request{Name: lxdtest.Name(t), Type: "container", Source: lxd.Source{Fingerprint: fingerprint}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := inst.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			trouble(inst)
			if _, err := inst.State(t.Context()); err != nil { // it finds out that its own are gone
				t.Fatal(err)
			}
			told(t, inst)
			if err := inst.Delete(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	if n := len(slices.DeleteFunc(far.Requests(), func(r string) bool { return !strings.HasSuffix(r, "/websocket") })); n < 4*4 {
		t.Errorf("%d websockets of four commands", n)
	}
}

func told(t *testing.T, inst *lxd.Instance) {
	t.Helper()
	var out strings.Builder
	code, err := inst.Exec(t.Context(), lxd.ExecRequest{Args: []string{"/bin/sh"}, Stdin: strings.NewReader("all"), Stdout: &out})
	if code != 0 || err != nil || out.String() != "told all" {
		t.Errorf("got exit %d, %q, %v", code, &out, err)
	}
}
