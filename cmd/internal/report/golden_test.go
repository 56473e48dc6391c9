package report

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/checks"
)

var update = flag.Bool("update", false, "write the golden files")

// started is when every run of the tests was started.
var started = time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

var debian = Image{
	Product: "debian:bookworm:amd64:default", Serial: "20261122-01", Type: "container", Remote: "rack1",
	Fingerprint: "0123456789abcdef", Spec: "images/debian.yaml",
}

func stages(durations ...int) []StageTime {
	names := []Stage{Fetch, Create, Start, ReadyFor, Evaluate, Delete}
	var list []StageTime
	for i, d := range durations {
		list = append(list, StageTime{names[i], ms(d)})
	}
	return list
}

func outcome(v checks.Verdict, passed, total, duration int) checks.Outcome {
	return checks.Outcome{Verdict: v, Passed: passed, Total: total, Duration: ms(duration)}
}

func passed(name string, n, duration int) CheckResult {
	c := CheckResult{Name: name, Title: name + " works", Source: "images/debian.yaml:12:3", Outcome: outcome(checks.Pass, n, n, duration)}
	for i := range n {
		c.Results = append(c.Results, checks.Result{
			Type: "file", ID: fmt.Sprintf("/etc/%s/%d", name, i), Property: "exists", Verdict: checks.Pass,
			Expected: true, Duration: ms(2),
		})
	}
	return c
}

func installFailed() CheckResult {
	return CheckResult{
		Name: "package-install", Source: "images/debian.yaml:29:3", Outcome: outcome(checks.Fail, 1, 2, 4100),
		Results: []checks.Result{
			{Type: "package", ID: "nginx", Property: "install", Verdict: checks.Pass, Duration: ms(4000)},
			{
				Type: "package", ID: "nginx", Property: "installed", Verdict: checks.Fail, Expected: true, Actual: false,
				Message: "apt-get install nginx: exit 100", Output: "E: Unable to locate package nginx\n",
				Duration: ms(90), Source: "images/debian.yaml:31:9",
			},
		},
	}
}

func skipped(name, why string) CheckResult {
	return CheckResult{Name: name, Outcome: checks.Outcome{Verdict: checks.Skip, Reason: why}}
}

// design is the run that the design shows.
func design() Summary {
	return Summary{
		Verdict: checks.Fail, Duration: ms(11200),
		Images: []ImageResult{{
			Image: debian, Verdict: checks.Fail, Promotion: "not promoted: package-install (container) failed",
			Checks: []CheckResult{
				passed("ipv4", 4, 300), passed("ipv6", 3, 2600), installFailed(), skipped("service-start", "needs package-install"),
			},
			Stages: stages(1900, 500, 300, 300, 7000, 900),
		}},
	}
}

// withCauses is a run of images of which it is known why they failed: one that shows
// no log because of that, and one whose evidence was written to a folder.
func withCauses() Summary {
	s := design()
	image := &s.Images[0]
	image.Checks[2].Causes = []string{
		"/etc/resolv.conf is a dangling link to ../run/systemd/resolve/stub-resolv.conf",
		"mirror.example.com does not resolve\x1b[2J", "::error::third", "never shown",
	}
	image.Diagnostics = []Diagnostic{{"console", "Debian GNU/Linux 12"}}
	dead := ImageResult{
		Image: debian, Verdict: checks.Fail, Reason: "the guest stopped by itself", Failed: ReadyFor,
		Causes:      []string{"/sbin/init is not there"},
		Checks:      []CheckResult{{Name: "ipv4", Outcome: checks.Outcome{Verdict: checks.Fail, Reason: "the guest stopped by itself"}}},
		Diagnostics: []Diagnostic{{"console", "never shown as text"}}, Artifacts: "artifacts/debian-bookworm",
	}
	dead.Serial = "20261122-02"
	s.Images = append(s.Images, dead)
	return s
}

func allPassed() Summary {
	return Summary{
		Verdict: checks.Pass, Duration: ms(6100),
		Images: []ImageResult{{
			Image: debian, Verdict: checks.Pass,
			Checks: []CheckResult{passed("ipv4", 4, 300), passed("ipv6", 12, 12600)},
			Stages: stages(1900, 500, 300, 300, 2200, 900),
		}},
	}
}

func promoted() Summary {
	s := allPassed()
	s.Images[0].Promotion = Promoted
	for i := range s.Images[0].Checks {
		s.Images[0].Checks[i].Posted = "pass"
	}
	earlier := CheckResult{Name: "service-start", Earlier: true, Outcome: checks.Outcome{Verdict: checks.Pass}}
	s.Images[0].Checks = append(s.Images[0].Checks, earlier, skipped("gpu", "rack1 has no GPU"))
	return s
}

func notPromoted() Summary {
	s := allPassed()
	s.Images[0].Promotion = "not promoted: virtual-machine has not been tested"
	return s
}

func serverGone() Summary {
	return Summary{
		Verdict: checks.Error, Duration: ms(61500), Warnings: []string{"rack1: the instance icepak-7f3a may be left"},
		Images: []ImageResult{{
			Image: debian, Verdict: checks.Error, Reason: "lxd rack1: connection refused", Failed: Evaluate,
			Checks: []CheckResult{
				passed("ipv4", 4, 300),
				{Name: "ipv6", Outcome: checks.Outcome{Verdict: checks.Error, Reason: "the probe's output ended early", Passed: 1, Total: 2, Duration: ms(900)},
					Results: []checks.Result{
						{Type: "addr", ID: "tcp://www.example.com:80", Property: "reachable", Verdict: checks.Error, Expected: true,
							Message: "context deadline exceeded", Source: "images/debian.yaml:20:9"},
					}},
				{Name: "service-start", Outcome: checks.Outcome{Verdict: checks.Error, Reason: "lxd rack1: connection refused"}},
			},
			Stages: stages(1900, 500, 300, 300),
		}},
	}
}

func neverReady() Summary {
	var console strings.Builder
	for i := range 40 {
		fmt.Fprintf(&console, "[%8.6f] systemd[1]: line %d\n", float64(i)/10, i)
	}
	return Summary{
		Verdict: checks.Fail, Duration: ms(125000),
		Images: []ImageResult{{
			Image: debian, Verdict: checks.Fail, Reason: "systemd is in maintenance", Failed: ReadyFor, Kept: "icepak-7f3a", Run: "k3w7abcd",
			Stages:      stages(1900, 500, 300, 120000),
			Diagnostics: []Diagnostic{{"console log", console.String()}, {"failed units", ""}},
		}},
	}
}

func nothingToDo() Summary {
	return Summary{
		Verdict: checks.Pass, Duration: ms(200),
		Images: []ImageResult{{
			Image: debian, Verdict: checks.Pass, Reason: "2 of 2 checks passed earlier and none is left; nothing is launched", Promotion: Promoted,
			Checks: []CheckResult{
				{Name: "ipv4", Earlier: true, Outcome: checks.Outcome{Verdict: checks.Pass}},
				{Name: "ipv6", Earlier: true, Outcome: checks.Outcome{Verdict: checks.Pass}},
			},
		}},
	}
}

// several is a run over containers and virtual machines of two versions.
func several() Summary {
	s := Summary{Verdict: checks.Fail, Duration: ms(74200)}
	one := design().Images[0]
	two := allPassed().Images[0]
	two.Type = "virtual-machine"
	two.Promotion = one.Promotion
	three := allPassed().Images[0]
	three.Product, three.Promotion = "alpine:3.20:arm64:default", Promoted
	four := serverGone().Images[0]
	four.Remote = "rack2"
	five := nothingToDo().Images[0]
	five.Product, five.Promotion = "fedora:41:amd64:default", "Polar: 503 Service Unavailable"
	s.Images = []ImageResult{one, two, three, four, five}
	return s
}

// longValues fails in all the ways that values can be long.
func longValues() Summary {
	list := []any{}
	for i := range 30 {
		list = append(list, fmt.Sprintf("10.0.0.%d", i))
	}
	same := "# a file\n\n[main]\nlevel = 3\n"
	results := []checks.Result{
		{Type: "interface", ID: "eth0", Property: "addrs", Expected: map[string]any{"contain-element": map[string]any{"match-regexp": `^192\.`}}, Actual: list},
		{Type: "file", ID: "/etc/app.conf", Property: "contents", Title: "is configured",
			Expected: same + "colour = red\nsize = 10\n", Actual: same + "colour = blue \nsize = 10"},
		{Type: "file", ID: "/etc/motd", Property: "contents", Expected: []any{"hello", "/^ok/"}, Actual: "one\ntwo\n\tthree\n"},
		{Type: "file", ID: "/etc/mode", Property: "mode", Expected: "0644", Actual: "420"},
		{Type: "user", ID: "app", Property: "home", Expected: " /srv", Actual: nil},
		{Type: "command", ID: "uname", Property: "stdout", Expected: "x86_64", Actual: strings.Repeat("long ", 200)},
		{Type: "nvidia-smi", Property: "gpus", Expected: map[string]any{"have-len": 1.0}, Actual: []any{}},
		{Type: "mount", ID: "/", Property: "opts", Actual: map[string]any{strings.Repeat("k", 40): "a", strings.Repeat("l", 40): []any{"b", nil, 1.5}}},
		{Type: "command", ID: "seq", Property: "exit-status", Expected: 0.0, Actual: 1.0, Output: lines(50)},
	}
	for i := range results {
		results[i].Verdict = checks.Fail
	}
	return oneCheck(CheckResult{Name: "values", Outcome: outcome(checks.Fail, 0, len(results), 10), Results: results})
}

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d\n", i+1)
	}
	return b.String()
}

func oneCheck(c CheckResult) Summary {
	return Summary{Verdict: c.Verdict, Duration: ms(1000), Images: []ImageResult{
		{Image: debian, Verdict: c.Verdict, Checks: []CheckResult{c}, Stages: stages(1, 2, 3)},
	}}
}

// hostile has everything that must not reach a terminal, a CI runner's log or
// an XML document.
const hostile = "\x1b]0;owned\x07\x1b[31mred\x1b[0m\r\n::error file=a.go::mine\n  ::add-mask::x\n##[error]mine and ##vso[task.x]\n" +
	"\xff\xfe bad\x00\x08 \u202egnp.exe\u2069 \u009b2J ]]> <b>&amp; \ufffe\n\x1b[2J\x1b[1;1H\x1bcverdict: pass\n"

func hostileGuest() Summary {
	c := CheckResult{
		Name: "::warning::" + hostile, Title: hostile, Source: hostile,
		Outcome: checks.Outcome{Verdict: checks.Fail, Reason: hostile, Passed: 0, Total: 1},
		Results: []checks.Result{{
			Type: "command", ID: hostile, Property: "stdout", Title: hostile, Verdict: checks.Fail,
			Expected: hostile, Actual: "a\nb\n", Message: hostile, Output: hostile, Source: hostile,
		}, {
			Type: "command", ID: "x", Property: "stdout", Verdict: checks.Fail, Expected: []any{hostile}, Actual: hostile,
		}},
	}
	s := oneCheck(c)
	s.Images[0].Image = Image{Product: hostile, Serial: hostile, Type: hostile, Remote: hostile, Spec: hostile}
	s.Images[0].Reason, s.Images[0].Kept, s.Images[0].Promotion = hostile, hostile, hostile
	s.Images[0].Diagnostics = []Diagnostic{{hostile, hostile}}
	s.Warnings = []string{hostile}
	return s
}

func hundredResults() Summary {
	c := CheckResult{Name: "files", Outcome: outcome(checks.Fail, 50, 100, 1234)}
	for i := range 100 {
		r := checks.Result{
			Type: "file", ID: fmt.Sprintf("/srv/%d", i), Property: "exists", Verdict: checks.Pass, Expected: true,
			Source: fmt.Sprintf("big.yaml:%d:7", i+4),
		}
		if i%2 == 1 {
			r.Verdict, r.Actual = checks.Fail, false
		}
		c.Results = append(c.Results, r)
	}
	return oneCheck(c)
}

// promotionRefused is what a run comes to whose last step failed.
func promotionRefused() Summary {
	s := several()
	s.Images = s.Images[1:3]
	s.Verdict = checks.Error
	for i := range s.Images {
		s.Images[i].Verdict, s.Images[i].Reason = checks.Error, "not promoted: Polar: 503 Service Unavailable"
		s.Images[i].Promotion = s.Images[i].Reason
	}
	return s
}

func noImages() Summary {
	return Summary{Verdict: checks.Error, Duration: ms(30), Warnings: []string{"no version of debian:* is in testing"}}
}

// A run is a case of the golden tests.
type run struct {
	name    string
	summary Summary
}

// runs are what every format is tested with.
func runs() []run {
	list := []run{
		{"design", design()},
		{"passed", allPassed()},
		{"promoted", promoted()},
		{"not promoted", notPromoted()},
		{"server gone", serverGone()},
		{"never ready", neverReady()},
		{"nothing to do", nothingToDo()},
		{"several", several()},
		{"long values", longValues()},
		{"hostile", hostileGuest()},
		{"hundred", hundredResults()},
		{"promotion refused", promotionRefused()},
		{"no images", noImages()},
		{"causes", withCauses()},
	}
	for i := range list {
		list[i].summary.Started = started
		list[i].summary.Version = "1.2.3"
	}
	return list
}

// tell tells the reporter of a run's events, as a runner does.
func tell(t *testing.T, r Reporter, s Summary) {
	t.Helper()
	send := func(e Event) {
		t.Helper()
		if err := r.Event(e); err != nil {
			t.Fatal(err)
		}
	}
	for i := range s.Images {
		image := &s.Images[i]
		send(Event{Kind: ImageStarted, Image: &image.Image})
		for _, st := range image.Stages {
			send(Event{Kind: StageStarted, Image: &image.Image, Stage: st.Stage})
		}
		send(Event{Kind: ImageDone, Image: &image.Image, Done: image})
	}
	if err := r.Close(s); err != nil {
		t.Fatal(err)
	}
}

// golden compares got with the file of that name, or writes that with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-"))
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (-update writes it):\n%s", path, strings.Join(difference(string(want), string(got)), "\n"))
	}
}

func TestEveryGoldenFileIsUsed(t *testing.T) {
	var known []string
	endings := []string{"text", "color", "ascii", "quiet", "verbose", "junit.xml", "json", "jsonl"}
	for _, look := range looks {
		endings = append(endings, look.ending)
	}
	for _, r := range runs() {
		for _, f := range endings {
			known = append(known, strings.ReplaceAll(r.name, " ", "-")+"."+f)
		}
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !f.IsDir() && !slices.Contains(known, f.Name()) {
			t.Errorf("testdata/%s belongs to no test", f.Name())
		}
	}
}
