package report

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/checks"
)

func TestTextShowsRuns(t *testing.T) {
	looks := []struct {
		name string
		opts TextOptions
	}{
		{"text", TextOptions{}},
		{"color", TextOptions{Color: true}},
		{"ascii", TextOptions{ASCII: true}},
		{"quiet", TextOptions{Quiet: true}},
		{"verbose", TextOptions{Verbose: true}},
	}
	for _, r := range runs() {
		for _, look := range looks {
			t.Run(r.name+"."+look.name, func(t *testing.T) {
				var out, progress bytes.Buffer
				tell(t, NewText(&out, &progress, look.opts), r.summary)
				golden(t, r.name+"."+look.name, []byte(out.String()+"--- progress\n"+progress.String()))
			})
		}
	}
}

// The design's sample is what people were promised.
func TestTextIsAsDesigned(t *testing.T) {
	const want = `debian:bookworm:amd64:default 20261122-01 container on rack1
  ✓ ipv4              4 of 4    0.3 s
  ✓ ipv6              3 of 3    2.6 s
  ✗ package-install   1 of 2    4.1 s
      package nginx: installed
        expected  true
        actual    false
        apt-get install nginx: exit 100
          E: Unable to locate package nginx
        images/debian.yaml:31:9
  – service-start     needs package-install
  fetch 1.9 s, create 0.5 s, start 0.3 s, ready 0.3 s, checks 7.0 s, delete 0.9 s

failed: 1 image, 4 checks: 2 passed, 1 failed, 1 skipped, in 11.2 s; not promoted
`
	var out bytes.Buffer
	tell(t, NewText(&out, io.Discard, TextOptions{}), design())
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestQuietSaysNothingOfARunThatPassed(t *testing.T) {
	var out, progress bytes.Buffer
	tell(t, NewText(&out, &progress, TextOptions{Quiet: true, Terminal: true}), promoted())
	if out.Len()+progress.Len() > 0 {
		t.Errorf("printed %q and %q", out.String(), progress.String())
	}
}

// Such a run does not exit with 0: a script that sees no line would not know why.
func TestAnImageOfWhichNothingIsKnownIsToldOf(t *testing.T) {
	image := ImageResult{Verdict: checks.Skip, Reason: "every check is skipped; nothing is launched",
		Checks: []CheckResult{skipped("gpu", "no nvidia GPU here")}}
	image.Image = debian
	image.Type = "virtual-machine"
	passed := allPassed().Images[0]
	for _, tt := range []struct {
		name   string
		images []ImageResult
		want   string
	}{
		{"alone", []ImageResult{image}, `debian:bookworm:amd64:default 20261122-01 virtual-machine on rack1: every check is skipped; nothing is launched

nothing done: 1 image, 1 check: 1 skipped, in 0.0 s
`},
		{"beside one that passed", []ImageResult{passed, image}, `debian:bookworm:amd64:default 20261122-01 virtual-machine on rack1: every check is skipped; nothing is launched

incomplete: 2 images (1 passed, 1 skipped), 3 checks: 2 passed, 1 skipped, in 0.0 s
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			tell(t, NewText(&out, io.Discard, TextOptions{Quiet: true}), Summary{Verdict: checks.Skip, Images: tt.images})
			if out.String() != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", out.String(), tt.want)
			}
		})
	}
}

func TestASCIIHasNothingElse(t *testing.T) {
	for _, r := range runs() {
		var out bytes.Buffer
		tell(t, NewText(&out, &out, TextOptions{ASCII: true, Verbose: true, Terminal: true}), r.summary)
		for _, b := range out.Bytes() {
			if b >= 0x80 {
				t.Fatalf("%s: byte %#x in:\n%s", r.name, b, out.String())
			}
		}
	}
}

func TestAnImageThatWasNotReportedIsPrintedAtTheEnd(t *testing.T) {
	var out bytes.Buffer
	if err := NewText(&out, io.Discard, TextOptions{}).Close(design()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "package nginx: installed"); n != 1 {
		t.Errorf("printed %d times:\n%s", n, out.String())
	}
}

func TestWhatSpoiltAnImageAfterItsResultsIsTold(t *testing.T) {
	var out bytes.Buffer
	r := NewText(&out, io.Discard, TextOptions{})
	s := allPassed()
	done := s.Images[0]
	event(t, r, Event{Kind: ImageDone, Image: &done.Image, Done: &done})
	before := out.Len()
	s.Verdict, s.Images[0].Verdict = checks.Error, checks.Error
	s.Images[0].Reason, s.Images[0].Promotion = "not promoted: Polar: 503", "not promoted: Polar: 503"
	s.Images[0].Fingerprint = "found out late"
	if err := r.Close(s); err != nil {
		t.Fatal(err)
	}
	const want = `
debian:bookworm:amd64:default 20261122-01 container on rack1
  ! error: not promoted: Polar: 503

error: 1 image, 2 checks: 2 passed, in 6.1 s; not promoted
`
	if got := out.String()[before:]; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestAWarningIsPrintedOnce(t *testing.T) {
	var progress bytes.Buffer
	r := NewText(io.Discard, &progress, TextOptions{})
	event(t, r, Event{Kind: Warning, Detail: "rack1 is slow"}, Event{Kind: Warning, Detail: "no IPv6", Image: &debian})
	if err := r.Close(Summary{Verdict: checks.Pass, Warnings: []string{"rack1 is slow", "no IPv6", "late"}}); err != nil {
		t.Fatal(err)
	}
	const want = "warning: rack1 is slow\n" +
		"warning: debian:bookworm:amd64:default 20261122-01 container on rack1: no IPv6\n" +
		"warning: late\n"
	if progress.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", progress.String(), want)
	}
}

func TestTextEndsOnTheTerminalWithoutLiveLines(t *testing.T) {
	var out, progress bytes.Buffer
	r := NewText(&out, &progress, TextOptions{Terminal: true})
	tell(t, r, several())
	if !strings.HasSuffix(progress.String(), "\x1b[J") && strings.Contains(progress.String(), "\x1b[J") {
		t.Errorf("live lines are left: %q", progress.String())
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("escapes in the results: %q", out.String())
	}
}

// full is a disk that is.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestResultsThatCannotBeWrittenAreAnError(t *testing.T) {
	tests := []struct {
		name string
		r    Reporter
		want string
	}{
		{"text", NewText(full{}, io.Discard, TextOptions{}), "writing results: no space left on device"},
		{"progress", NewText(io.Discard, full{}, TextOptions{}), "writing progress: no space left on device"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := design()
			s.Warnings = []string{"a warning"}
			err := tt.r.Close(s)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestResultsArePrintedWhereProgressCannotBe(t *testing.T) {
	var out bytes.Buffer
	r := NewText(&out, full{}, TextOptions{})
	s := design()
	image := &s.Images[0]
	if err := r.Event(Event{Kind: StageStarted, Image: &image.Image, Stage: Fetch}); err == nil {
		t.Error("the event's error is lost")
	}
	if err := r.Close(s); err == nil {
		t.Error("the error is lost")
	}
	if !strings.Contains(out.String(), "failed: 1 image") {
		t.Errorf("no results:\n%s", out.String())
	}
}

func FuzzTextIsSafe(f *testing.F) {
	f.Add(hostile, uint8(0))
	f.Add("##\x00[error]::", uint8(1))
	f.Add(":\u200b:error::\n\t::x", uint8(2))
	f.Add("\x1b]8;;http://example.com\x1b\\link\x1b]8;;\x1b\\", uint8(3))
	f.Fuzz(func(t *testing.T, s string, flags uint8) {
		sum := hostileGuest()
		image := &sum.Images[0]
		image.Product, image.Reason, image.Kept, image.Promotion = s, s, s, s
		image.Diagnostics[0] = Diagnostic{s, s}
		c := &image.Checks[0]
		c.Name, c.Title, c.Reason = s, s, s
		for i := range c.Results {
			r := &c.Results[i]
			r.ID, r.Message, r.Output, r.Source = s, s, s, s
			r.Expected, r.Actual = s, strings.ToUpper(s)+"\nx"
		}
		c.Results[1].Expected = map[string]any{s: []any{s, s}}
		sum.Warnings = []string{s}
		var out bytes.Buffer
		opts := TextOptions{ASCII: flags&1 > 0, Verbose: flags&2 > 0, Quiet: flags&4 > 0}
		r := NewText(&out, &out, opts)
		tell(t, r, sum)
		assertSafe(t, out.String())
	})
}

func TestDurationsAreSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0 s", 0: "0.0 s", ms(49): "0.0 s", ms(950): "0.9 s", ms(4100): "4.1 s", time.Hour: "3600.0 s",
	} {
		if got := seconds(d); got != want {
			t.Errorf("%v is shown as %s, want %s", d, got, want)
		}
	}
}
