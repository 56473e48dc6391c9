package cli

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/polar"
)

// history is what the events of the site's version were, by name.
func (p *polarSite) history() string {
	p.t.Helper()
	var names []string
	for _, line := range strings.Split(p.must("version", "show", polarProduct, polarSerial), "\n") {
		for _, name := range []string{"test", "activate", "deactivate"} {
			if regexp.MustCompile(`Z +version +` + name + ` `).MatchString(line) {
				names = append(names, name)
			}
		}
	}
	return strings.Join(names, " ")
}

func TestPromoteByHand(t *testing.T) {
	for _, tt := range []struct {
		name           string
		verdicts       []string
		before         []string // events
		args           []string
		code           int
		stdout, stderr string
		history        string
	}{
		{"all has passed", []string{polar.Pass, polar.Pass}, nil, nil, 0, `^debian:bookworm:amd64:default 20261122-01: active\n$`, `^$`, "test activate"},
		{"one has failed", []string{polar.Pass, polar.Fail}, nil, nil, 1, `^$`,
			`20261122-01 is not promoted: ipv6 \(container\) is failed\n  --force promotes it all the same\n$`, "test"},
		{"nothing was assessed", nil, nil, nil, 1, `^$`, `is not promoted: no check has passed\n`, "test"},
		{"one has failed, by force", []string{polar.Pass, polar.Fail}, nil, []string{"--force", "--comment", "they know"}, 0, `: active\n$`,
			`^promoting it all the same: ipv6 \(container\) is failed\n$`, "test activate"},
		{"active already", []string{polar.Fail}, []string{"activate"}, nil, 0, `: active already\n$`, `^$`, "test activate"},
		{"not in testing", []string{polar.Pass}, []string{"deactivate"}, nil, 2, `^$`, `20261122-01 is inactive\n  only a version in the testing channel`, "test deactivate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPolarSite(t)
			p.settle(tt.verdicts...)
			for _, event := range tt.before {
				p.must("version", "event", polarProduct, polarSerial, event)
			}
			p.expect(tt.code, tt.stdout, tt.stderr, append([]string{"promote", polarProduct, polarSerial}, tt.args...)...)
			if got := p.history(); got != tt.history {
				t.Errorf("events %s, want %s", got, tt.history)
			}
		})
	}
}

func TestDemoteByHand(t *testing.T) {
	p := newPolarSite(t)
	p.must("version", "event", polarProduct, polarSerial, "activate")
	p.expect(0, `^debian:bookworm:amd64:default 20261122-01: inactive\n$`, `^$`, "demote", polarProduct, polarSerial)
	p.expect(0, `: inactive already\n$`, `^$`, "demote", polarProduct, polarSerial)
	p.must("version", "event", polarProduct, polarSerial, "test")
	p.expect(0, `: inactive\n$`, `^$`, "demote", polarProduct, polarSerial)
	if got := p.history(); got != "test activate deactivate test deactivate" {
		t.Errorf("events %s", got)
	}
}

// Polar 0.2 tells no states: the feeds do, as far as they are known.
func TestMovingOnAPolarThatDoesNotTell(t *testing.T) {
	p := newPolarSite(t)
	p.plain()
	const warning = `^nobody has checked what has passed: this Polar does not tell\n$`
	p.expect(0, `: active\n$`, warning, "promote", polarProduct, polarSerial)
	p.expect(0, `: active already\n$`, `^$`, "promote", polarProduct, polarSerial)
	p.expect(0, `: inactive\n$`, `^$`, "demote", polarProduct, polarSerial)
	p.expect(0, `: inactive already\n$`, `^$`, "demote", polarProduct, polarSerial)
	p.expect(2, `^$`, `is inactive`, "promote", polarProduct, polarSerial)

	p.must("version", "event", polarProduct, polarSerial, "test")
	delete(p.vars, "ACTIVE_IMAGE_SERVER")
	delete(p.vars, "TESTING_IMAGE_SERVER")
	p.expect(0, `: active\n$`, warning, "promote", polarProduct, polarSerial)
	p.expect(0, `: inactive\n$`, `^$`, "demote", polarProduct, polarSerial)
	if got := p.history(); got != "test activate deactivate test activate deactivate" {
		t.Errorf("events %s", got)
	}
}

func TestMovesThatCannotBe(t *testing.T) {
	p := newPolarSite(t)
	for _, command := range []string{"promote", "demote"} {
		p.expect(2, `^$`, `version 20261122-09: 404`, command, polarProduct, "20261122-09")
		p.expect(2, `^$`, `product debian:sid:amd64:default: 404`, command, "debian:sid:amd64:default", polarSerial)
		p.expect(2, `^$`, `takes PRODUCT SERIAL, got \[`, command, polarProduct)
	}
	p.vars["POLAR_AUTH_TOKEN"] = "another-password"
	p.expect(2, `^$`, `wrong password`, "promote", polarProduct, polarSerial)
	delete(p.vars, "POLAR_AUTH_TOKEN")
	p.expect(2, `^$`, `only Polar moves versions\n  set POLAR_AUTH_TOKEN`, "demote", polarProduct, polarSerial)
}

func TestAnOlderVersionIsActiveForAMomentOnly(t *testing.T) {
	p := newPolarSite(t)
	for _, serial := range []string{"20261123-01", "20261124-01"} {
		p.rebuild(serial)
		p.must("version", "import", p.build, "--product", polarProduct, "--serial", serial, "--test")
		p.must("version", "event", polarProduct, serial, "activate")
	}
	p.settle(polar.Pass)
	p.expect(2, `^$`, `20261122-01 was active for a moment only\n  newer versions`, "promote", polarProduct, polarSerial)
}

// An answer that is lost leaves open whether the event was taken; how the version stands
// tells.
func TestAMoveWhoseAnswerIsLost(t *testing.T) {
	p := newPolarSite(t)
	p.settle(polar.Pass)
	to, err := url.Parse(p.vars["POLAR_ENDPOINT"])
	p.ok(err)
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(r *http.Response) error {
			if strings.HasSuffix(r.Request.URL.Path, "/events") {
				return errors.New("lost") // which is a 502
			}
			return nil
		},
		ErrorLog: log.New(io.Discard, "", 0),
	})
	t.Cleanup(front.Close)
	p.vars["POLAR_ENDPOINT"] = front.URL
	p.expect(0, `: active\n$`, `^$`, "promote", polarProduct, polarSerial)
	p.expect(0, `: inactive\n$`, `^$`, "demote", polarProduct, polarSerial)
	if got := p.history(); got != "test activate deactivate" {
		t.Errorf("events %s", got)
	}
}
