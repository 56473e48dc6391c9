package checks

import (
	"encoding/binary"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestImageKnowsWhatItsHostSays(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	sys := &System{FS: fstest.MapFS{}, Host: HostFacts{Time: now, Image: &ImageFacts{
		Fingerprint: "abc", Type: "container", Architecture: "amd64", Created: now.Add(-2 * time.Hour),
		Size: 100 << 20, Files: map[string]int64{"squashfs": 99 << 20, "lxd.tar.xz": 1 << 20},
		Properties: map[string]string{"os": "Debian", "release": "bookworm", "variant": "default", "serial": "20261124-01"},
	}}}
	for property, expect := range map[string]string{
		"os": `"Debian"`, "release": `"bookworm"`, "variant": `"default"`, "serial": `{"have-prefix": "2026"}`,
		"architecture": `"amd64"`, "fingerprint": `"abc"`, "type": `"container"`, "size": `"100MiB"`,
		"files": `{"consist-of": ["squashfs", "lxd.tar.xz"]}`, "age": `{"lt": "3h"}`, "properties": `{"have-key": "os"}`,
	} {
		checkProperty(t, sys, "image", "", property, expect, Pass, "")
	}
	checkProperty(t, sys, "image", "", "age", `{"lt": "1h"}`, Fail, "")
	checkProperty(t, sys, "image", "", "description", `"x"`, Fail, "the image's metadata does not say")

	bare := &System{FS: fstest.MapFS{}, Host: HostFacts{Image: &ImageFacts{}}}
	for property, expect := range map[string]string{"size": `{"lt": "1GiB"}`, "files": `{"have-len": 0}`, "age": `{"gt": "1s"}`, "os": `"debian"`, "properties": `{"have-key": "os"}`, "type": `"container"`} {
		checkProperty(t, bare, "image", "", property, expect, Error, "nobody knows")
	}
}

// A check of nothing but an image that nobody knows is skipped, and no pass.
func TestAnImageThatNobodyKnowsIsSkipped(t *testing.T) {
	image := Item{Type: "image", Resource: &Image{OS: want(t, String, `"debian"`), Agrees: want(t, Bool, `true`)}}
	before := Item{Type: "file", ID: "/x", Resource: &File{Common: Common{Key: "/x", BeforeBoot: true}, Exists: want(t, Bool, `true`)},
		Sources: map[string]string{"exists": "a:1:1"}}
	skipped := Item{Type: "file", ID: "/x", Resource: &File{Common: Common{Key: "/x", Skip: true}, Exists: want(t, Bool, `true`)}}
	file := Item{Type: "file", ID: "/x", Resource: &File{Common: Common{Key: "/x"}, Exists: want(t, Bool, `true`)}}
	for _, tt := range []struct {
		name  string
		items []Item
		want  Outcome
	}{
		{"an image", []Item{image}, Outcome{Verdict: Skip, Reason: "nobody knows which image this is made from"}},
		{"what was before the boot", []Item{before}, Outcome{Verdict: Skip, Reason: "it is looked at before the boot only, and this one was not started by icepak"}},
		{"with what can be looked at", []Item{image, before, file}, Outcome{Verdict: Pass, Passed: 1, Total: 1}},
		{"what is skipped anyway", []Item{skipped}, Outcome{Verdict: Fail, Reason: "nothing was evaluated"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var count tally
			for _, item := range tt.items {
				for _, r := range item.Evaluate(t.Context(), &System{FS: fstest.MapFS{"x": {}}}) {
					count.add(r)
				}
			}
			if got := count.outcome(); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// elfOf is the start of a program for a machine, as ELF numbers it.
func elfOf(machine uint16, big bool) []byte {
	head := append([]byte("\x7fELF\x02\x01"), make([]byte, 58)...)
	var order binary.ByteOrder = binary.LittleEndian
	if big {
		head[5], order = 2, binary.BigEndian
	}
	order.PutUint16(head[18:], machine)
	return head
}

func TestImageAgreesWithItsGuest(t *testing.T) {
	for _, tt := range []struct {
		os, release, arch string
		osRelease         string
		init              []byte
		want              string // of the differences; empty where they agree
	}{
		{"Debian", "bookworm", "amd64", "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm", elfOf(62, false), ""},
		{"debian", "12", "x86_64", "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm", elfOf(62, false), ""},
		{"Debian", "sid", "amd64", "ID=debian\nVERSION_CODENAME=forky", elfOf(62, false), ""},
		{"Ubuntu", "noble", "arm64", "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=24.04\nVERSION_CODENAME=noble", elfOf(183, false), ""},
		{"Alpine", "3.22", "amd64", "ID=alpine\nVERSION_ID=3.22.1", elfOf(62, false), ""},
		{"Alpine", "edge", "amd64", "ID=alpine\nVERSION_ID=3.23.0_alpha20250101", elfOf(62, false), ""},
		{"Rockylinux", "9", "amd64", "ID=\"rocky\"\nVERSION_ID='9.6'", elfOf(62, false), ""},
		{"Almalinux", "9", "amd64", "ID=almalinux\nVERSION_ID=9.6", elfOf(62, false), ""},
		{"Centos", "9-Stream", "amd64", "ID=centos\nVERSION_ID=9", elfOf(62, false), ""},
		{"Opensuse", "15.6", "amd64", "ID=opensuse-leap\nVERSION_ID=15.6", elfOf(62, false), ""},
		{"Opensuse", "tumbleweed", "amd64", "ID=opensuse-tumbleweed\nVERSION_ID=20261124", elfOf(62, false), ""},
		{"Archlinux", "current", "amd64", "ID=arch", elfOf(62, false), ""},
		{"Voidlinux", "current", "amd64", "ID=void", elfOf(62, false), ""},
		{"Amazonlinux", "2023", "amd64", "ID=amzn\nVERSION_ID=2023", elfOf(62, false), ""},
		{"Oracle", "9", "amd64", "ID=ol\nVERSION_ID=9.6", elfOf(62, false), ""},
		{"", "", "", "ID=debian", elfOf(62, false), ""},
		{"Debian", "bookworm", "s390x", "ID=debian\nVERSION_CODENAME=bookworm", elfOf(22, true), ""},
		{"Debian", "bookworm", "amd64", "ID=debian\nVERSION_CODENAME=bookworm", []byte("#!/bin/sh\nexec /bin/init\n"), ""},
		{"Debian", "bookworm", "tricorder", "ID=debian\nVERSION_CODENAME=bookworm", elfOf(62, false), ""},

		{"Debian", "bookworm", "amd64", "ID=debian\nVERSION_ID=13\nVERSION_CODENAME=trixie", elfOf(62, false),
			"the release is bookworm, and os-release says VERSION_ID=13 VERSION_CODENAME=trixie"},
		{"Debian", "bookworm", "amd64", "ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=bookworm", elfOf(62, false), "the os is Debian, and os-release says ID=ubuntu"},
		{"Rockylinux", "9", "amd64", "ID=rocky\nVERSION_ID=90", elfOf(62, false), "the release is 9, and os-release says VERSION_ID=90"},
		{"Alpine", "3.2", "amd64", "ID=alpine\nVERSION_ID=3.22.1", elfOf(62, false), "the release is 3.2, and os-release says"},
		{"Debian", "bookworm", "amd64", "ID=debian\nVERSION_CODENAME=bookworm", elfOf(3, false), "the architecture is amd64, and the guest's init is for i386"},
		{"Debian", "bookworm", "amd64", "ID=debian\nVERSION_CODENAME=bookworm", elfOf(8, false), "another one (ELF's 8)"},
		{"Debian", "trixie", "arm64", "ID=fedora\nVERSION_ID=42", elfOf(62, false), "ID=fedora; the release is trixie"},
		{"Debian", "bookworm", "amd64", "", elfOf(62, false), "the guest has no /etc/os-release"},
	} {
		t.Run(tt.os+" "+tt.release+" "+tt.want, func(t *testing.T) {
			root := fstest.MapFS{"sbin/init": {Data: tt.init}}
			if tt.osRelease != "" {
				root["usr/lib/os-release"] = &fstest.MapFile{Data: []byte("# its name\n" + tt.osRelease + "\n")}
			}
			got, err := disagreements(root, ImageFacts{Architecture: tt.arch, Properties: map[string]string{"os": tt.os, "release": tt.release}})
			if err != nil || (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
	if _, err := disagreements(failingFolder{fstest.MapFS{}, fs.ErrPermission}, ImageFacts{}); verdictOf(err) != Error {
		t.Errorf("of an init that is not there: %v", err)
	}
}
