package runner

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest/fakevm"
	"github.com/upmaru/icepak/cmd/internal/report"
)

var vmImage = strings.Repeat("ab", 32)

// inVM returns a job of the image as a virtual machine on the fake server, on which
// the real probe evaluates the checks. Waiting goes on for as long as it takes.
func inVM(t *testing.T, s *fakevm.Server, cs ...Check) (Job, *Remote) {
	t.Helper()
	if s.Images == nil {
		s.Images = map[string]map[string]string{vmImage: nil}
	}
	server, err := lxd.Connect(t.Context(), lxd.Remote{Name: "fake", Addr: s.Start(t)}, "icepak-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	probe, err := FindProbe(runtime.GOARCH)
	if err != nil {
		t.Fatalf("%v (run make probes)", err)
	}
	remote := &Remote{
		Server: server, Name: InstanceName("vm"), Probe: probe, Owner: NewOwner(time.Now().Add(time.Hour)),
		Request: lxd.Request{Type: "virtual-machine", Source: lxd.Source{Fingerprint: vmImage}},
		Agent:   AgentWait{Pause: time.Millisecond, Limit: time.Hour, Silence: time.Hour},
	}
	j := job(remote, cs...)
	j.Image.Type = "virtual-machine"
	return j, remote
}

func TestAVirtualMachineIsTestedByTheRealProbe(t *testing.T) {
	seen := filepath.Join(t.TempDir(), "seen")
	good, bad := command(t, 1, "good", "touch "+seen), command(t, 2, "bad", "exit 3")
	for _, tt := range []struct {
		name   string
		server *fakevm.Server
		probe  string // where it was
	}{
		{"at once", &fakevm.Server{}, "/icepak-probe"},
		{"its agent comes late", &fakevm.Server{Agent: 20}, "/icepak-probe"},
		{"its root is read-only", &fakevm.Server{ReadOnly: []string{"/"}}, "/run/icepak-probe"},
		{"and what is in memory forbids programs", &fakevm.Server{ReadOnly: []string{"/"}, NoPrograms: []string{"/run", "/tmp", "/dev/shm"}}, "/run/lxd_agent/icepak-probe"},
		{"Incus's agent has its own folder", &fakevm.Server{Incus: true, ReadOnly: []string{"/"}, NoPrograms: []string{"/run", "/tmp", "/dev/shm"}}, "/run/incus_agent/icepak-probe"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			os.Remove(seen)
			j, _ := inVM(t, tt.server, good, bad)
			sum := run(t, Runner{Keep: KeepAlways}, j)
			if got := verdicts(sum.Images[0]); got != "fail: good=pass bad=fail" {
				t.Errorf("got %s, %s", got, sum.Images[0].Reason)
			}
			if _, err := os.Stat(seen); err != nil {
				t.Errorf("the check was not evaluated: %v", err)
			}
			if left := tt.server.Left(); !slices.Equal(left, []string{tt.probe}) {
				t.Errorf("in the guest are %q, want only %s", left, tt.probe)
			}
		})
	}
	t.Run("and is deleted", func(t *testing.T) {
		s := &fakevm.Server{}
		j, _ := inVM(t, s, good)
		sum := run(t, Runner{}, j)
		if got := verdicts(sum.Images[0]); got != "pass: good=pass" {
			t.Errorf("got %s, %s", got, sum.Images[0].Reason)
		}
		if got := s.Moved(); !slices.Equal(got, []string{"start", "stop", "delete"}) {
			t.Errorf("the server was asked to %q", got)
		}
	})
}

func TestWhoIsToBlameForAVirtualMachineThatDoesNotAnswer(t *testing.T) {
	good := command(t, 1, "good", "true")
	for _, tt := range []struct {
		name   string
		server *fakevm.Server
		wait   AgentWait
		want   string
		reason string // contains this
	}{
		{"no agent in the image", &fakevm.Server{Agent: fakevm.Never}, AgentWait{Limit: time.Millisecond}, "fail: good=fail",
			"the agent did not answer within 1ms: is lxd-agent installed and started? Secure boot is on"},
		{"no agent in the image, with Incus", &fakevm.Server{Incus: true, Agent: fakevm.Never}, AgentWait{Limit: time.Millisecond}, "fail: good=fail",
			"is incus-agent installed and started?"},
		{"it stops by itself", &fakevm.Server{Agent: fakevm.Never, Stops: 3}, AgentWait{}, "fail: good=fail", "the guest stopped by itself"},
		{"a server that is gone", &fakevm.Server{Agent: fakevm.Never, Dies: 3}, AgentWait{Silence: time.Millisecond}, "error: good=error",
			"wait for the virtual machine's agent"},
		{"no place for the probe", &fakevm.Server{NoPrograms: []string{"/", "/run", "/tmp", "/dev/shm", "/run/lxd_agent"}}, AgentWait{}, "error: good=error",
			"the probe runs nowhere in the virtual machine"},
		{"a boot loader that secure boot refuses", &fakevm.Server{Unsigned: true}, AgentWait{Limit: time.Millisecond}, "fail: good=fail",
			"does the image lack requirements.secureboot=false?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j, remote := inVM(t, tt.server, good)
			if tt.wait.Limit > 0 {
				remote.Agent.Limit = tt.wait.Limit
			}
			if tt.wait.Silence > 0 {
				remote.Agent.Silence = tt.wait.Silence
			}
			sum := run(t, Runner{Keep: KeepFailed}, j) // a server that is gone deletes nothing
			img := sum.Images[0]
			if got := verdicts(img); got != tt.want || !strings.Contains(img.Reason, tt.reason) || img.Failed != report.Start {
				t.Errorf("got %s at %s, %q, want %s, %q", got, img.Failed, img.Reason, tt.want, tt.reason)
			}
		})
	}
}

func TestAVirtualMachineIsWhatItsImageRequires(t *testing.T) {
	const off = "security.secureboot=false"
	unsigned := map[string]string{"requirements.secureboot": "false"}
	mode := []string{"instance_boot_mode"}
	for _, tt := range []struct {
		name       string
		typ        string
		extensions []string
		image      map[string]string // properties on the server
		feed       map[string]string
		config     map[string]string // the spec's
		want       string
	}{
		{name: "nothing"},
		{name: "the image on the server", image: unsigned, want: off},
		{name: "on a newer server", image: unsigned, extensions: mode, want: "boot.mode=uefi-nosecureboot"},
		{name: "the feed", feed: map[string]string{"secureboot": "False"}, want: off},
		{name: "secure boot", feed: map[string]string{"secureboot": "true"}},
		{name: "the spec says it already", image: unsigned, config: map[string]string{"security.secureboot": "no"}, want: "security.secureboot=no"},
		{name: "the spec has a mode", image: unsigned, extensions: mode, config: map[string]string{"boot.mode": "bios"}, want: "boot.mode=bios"},
		{name: "a container boots no firmware", typ: "container", image: unsigned, feed: map[string]string{"cdrom_agent": "true"}},
		{name: "the agent's drive", feed: map[string]string{"cdrom_agent": "true"}, want: "source=agent:config type=disk"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &fakevm.Server{Extensions: tt.extensions, Images: map[string]map[string]string{vmImage: tt.image}}
			_, remote := inVM(t, s)
			if tt.typ != "" {
				remote.Request.Type = tt.typ
			}
			remote.Requirements, remote.Request.Config = tt.feed, maps.Clone(tt.config)
			if err := remote.create(t.Context(), &instance{}, newWatch(func(report.Event) {}, report.Image{})); err != nil {
				t.Fatal(err)
			}
			made := s.Made()[0]
			var got []string
			for key, value := range made.Config {
				if !strings.HasPrefix(key, "user.") {
					got = append(got, key+"="+value)
				}
			}
			for _, d := range made.Devices {
				for key, value := range d {
					got = append(got, key+"="+value)
				}
			}
			slices.Sort(got)
			if strings.Join(got, " ") != tt.want {
				t.Errorf("made with %q, want %q", got, tt.want)
			}
			if !maps.Equal(remote.Request.Config, tt.config) {
				t.Errorf("the spec's own configuration became %v", remote.Request.Config)
			}
		})
	}
}

func TestTheAgentsDriveIsNotAddedTwice(t *testing.T) {
	s := &fakevm.Server{}
	_, remote := inVM(t, s)
	remote.Requirements = map[string]string{"cdrom_agent": "true"}
	remote.Request.Devices = map[string]map[string]string{"mine": {"type": "disk", "source": "agent:config"}}
	if err := remote.create(t.Context(), &instance{}, newWatch(func(report.Event) {}, report.Image{})); err != nil {
		t.Fatal(err)
	}
	if got := s.Made()[0].Devices; len(got) != 1 {
		t.Errorf("devices %v", got)
	}
}

func TestAVirtualMachineThatRunsAlreadyIsLeftAsItWas(t *testing.T) {
	s := &fakevm.Server{ReadOnly: []string{"/tmp"}}
	_, remote := inVM(t, s)
	g := &instance{server: remote.Server}
	if err := remote.create(t.Context(), g, newWatch(func(report.Event) {}, report.Image{})); err != nil {
		t.Fatal(err)
	}
	if err := g.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	j := job(&Running{Server: remote.Server, Instance: g.inst, Probe: remote.Probe}, command(t, 1, "good", "true"))
	if got := verdicts(run(t, Runner{}, j).Images[0]); got != "pass: good=pass" {
		t.Errorf("got %s", got)
	}
	if left, moved := s.Left(), s.Moved(); len(left) != 0 || !slices.Equal(moved, []string{"start"}) {
		t.Errorf("left %q, after %q", left, moved)
	}
}

func TestAVirtualMachineHasMoreTimeToBeReady(t *testing.T) {
	for _, tt := range []struct {
		typ   string
		given time.Duration
		want  string
	}{
		{"virtual-machine", 0, "5m0s"},
		{"virtual-machine", time.Minute, "1m0s"},
		{"container", 0, "0s"}, // the probe's own default
	} {
		got := ReadyFor(checks.Ready{System: true, Timeout: checks.Duration(tt.given)}, tt.typ)
		if fmt.Sprint(time.Duration(got.Timeout)) != tt.want || !got.System {
			t.Errorf("%s, %s: %+v", tt.typ, tt.given, got)
		}
	}
}

func TestAGuestWhoseAgentIsGoneRunsNothing(t *testing.T) {
	s := &fakevm.Server{}
	_, remote := inVM(t, s)
	guest, err := remote.Launch(t.Context(), newWatch(func(report.Event) {}, report.Image{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	g, silence := guest.(*instance), errors.New("no more output")
	if err := g.knock(t.Context(), silence); !errors.Is(err, ErrLost) {
		t.Errorf("with an agent: %v", err)
	}
	s.Unplug()
	var fault *ImageFault
	if err := g.knock(t.Context(), silence); !errors.As(err, &fault) {
		t.Errorf("without one: %v", err)
	}
}
