package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// A polarSite is a served Polar with a version in testing, and the variables that lead
// there.
type polarSite struct {
	*polarFolder
	vars    map[string]string
	client  *polar.Client
	version polar.Version
	checks  []polar.Check
	cluster int64
}

func newPolarSite(t *testing.T) *polarSite {
	t.Helper()
	p := &polarSite{polarFolder: newPolarFolder(t)}
	password := strings.TrimSpace(p.must("password", "--generate"))
	p.must("check", "add", "ipv4", "ipv6")
	p.must("cluster", "add", "rack1", "--endpoint", "https://rack1.example.com:8443")
	p.importBuild()
	url := p.serve()
	space := func(channel string) string {
		return strings.TrimSpace(p.must("space", "add", "--channel", channel, "--type", "lxd", "--url", url))
	}
	p.vars = map[string]string{
		"POLAR_ENDPOINT": url, "POLAR_AUTH_TOKEN": password,
		"TESTING_IMAGE_SERVER": space("testing"), "ACTIVE_IMAGE_SERVER": space("active"),
	}
	var err error
	if p.client, err = polar.New(url, polar.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.client.Close)
	p.ok(p.client.Authenticate(t.Context(), password))
	product, err := p.client.Product(t.Context(), polarProduct)
	p.ok(err)
	p.version, err = p.client.Version(t.Context(), product.ID, polarSerial)
	p.ok(err)
	p.checks, err = p.client.Checks(t.Context())
	p.ok(err)
	clusters, err := p.client.Clusters(t.Context())
	p.ok(err)
	p.cluster = clusters[0].ID
	return p
}

func (p *polarSite) ok(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// settle brings checks to verdicts as a container, in the order of p.checks.
func (p *polarSite) settle(verdicts ...string) {
	p.t.Helper()
	for i, verdict := range verdicts {
		_, err := p.client.Settle(p.t.Context(), p.version.ID, p.checks[i].ID, p.cluster, polar.Container, verdict)
		p.ok(err)
	}
}

// plain has the site's Polar answer as Polar 0.2 from now on.
func (p *polarSite) plain() { p.vars["POLAR_ENDPOINT"] = asPolar02(p.t, p.vars["POLAR_ENDPOINT"]) }

// asPolar02 puts a front before the server at the URL that has it answer as Polar 0.2:
// without what it has beyond that, and with a 500 for a change that is refused.
func asPolar02(t *testing.T, server string) string {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("Polar-Extensions")
			if r.StatusCode == http.StatusConflict {
				const body = `{"errors":{"detail":"Internal Server Error"}}`
				r.StatusCode, r.Body, r.ContentLength = http.StatusInternalServerError, io.NopCloser(strings.NewReader(body)), int64(len(body))
				r.Header.Set("Content-Length", strconv.Itoa(len(body)))
			}
			return nil
		},
	})
	t.Cleanup(front.Close)
	return front.URL
}

// icepak runs icepak with the site's variables.
func (p *polarSite) icepak(args ...string) (stdout, stderr string, code int) {
	p.t.Helper()
	var out, errs strings.Builder
	env := p.env(strings.NewReader(""), &out, &errs)
	env.Getenv = func(name string) string { return p.vars[name] }
	code = Run(p.t.Context(), args, env)
	for _, secret := range []string{"POLAR_AUTH_TOKEN", "TESTING_IMAGE_SERVER", "ACTIVE_IMAGE_SERVER"} {
		if v := p.vars[secret]; v != "" && strings.Contains(out.String()+errs.String(), v) {
			p.t.Errorf("%q tells %s", args, secret)
		}
	}
	return out.String(), errs.String(), code
}

// expect runs icepak, and holds the exit code and patterns of what it says.
func (p *polarSite) expect(code int, stdout, stderr string, args ...string) {
	p.t.Helper()
	out, errs, got := p.icepak(args...)
	if got != code || !regexp.MustCompile(stdout).MatchString(out) || !regexp.MustCompile(stderr).MatchString(errs) {
		p.t.Errorf("%q: exit %d, want %d\nstdout %s\nstderr %s\nwant %s and %s", args, got, code, out, errs, stdout, stderr)
	}
}

func (p *polarSite) report() {
	p.t.Helper()
	doc, err := report.EncodeJSON(report.Summary{Verdict: checks.Fail, Images: []report.ImageResult{{
		Image:  report.Image{Product: polarProduct, Serial: polarSerial, Type: "container"},
		Checks: []report.CheckResult{{Name: "ipv6", Outcome: checks.Outcome{Verdict: checks.Fail, Reason: "no route\x1b[2J"}}},
	}}})
	p.ok(err)
	p.ok(p.client.PutReport(p.t.Context(), p.version.ID, polar.Container, doc))
}

func TestStatusShowsWhatIsKnown(t *testing.T) {
	p := newPolarSite(t)
	p.settle(polar.Pass, polar.Fail)
	p.report()
	all := p.vars
	const row = `debian:bookworm:amd64:default +20261122-01`
	for _, tt := range []struct {
		name           string
		vars           []string
		plain          bool
		args           []string
		code           int
		stdout, stderr string
	}{
		{"everything", []string{"TESTING_IMAGE_SERVER", "ACTIVE_IMAGE_SERVER", "POLAR_AUTH_TOKEN"}, false, nil, 0,
			`^PRODUCT +SERIAL +STATE +CHANNEL +TYPE +ipv4 +ipv6\n` + row + ` +testing +testing +container +passed +failed\n$`, `^$`},
		{"and why, of one product", []string{"POLAR_AUTH_TOKEN"}, false, []string{"Debian:Bookworm:x86_64:default"}, 0,
			`^PRODUCT +SERIAL +STATE +TYPE +ipv4 +ipv6\n` + row + ` +testing +container +passed +failed\n\n20261122-01 +container +ipv6 +no route\n$`, `^$`},
		{"the feeds only", []string{"TESTING_IMAGE_SERVER", "ACTIVE_IMAGE_SERVER"}, false, nil, 0,
			`^PRODUCT +SERIAL +CHANNEL +TYPE\n` + row + ` +testing +container\n$`, `^$`},
		{"by an alias", []string{"TESTING_IMAGE_SERVER", "ACTIVE_IMAGE_SERVER", "POLAR_AUTH_TOKEN"}, false, []string{"debian/bookworm"}, 0, row + ` +testing +testing`, `^$`},
		{"an empty channel", []string{"ACTIVE_IMAGE_SERVER"}, false, nil, 0, `^PRODUCT  SERIAL  CHANNEL  TYPE\n$`, `^$`},
		{"a Polar that does not tell, with a feed", []string{"TESTING_IMAGE_SERVER", "POLAR_AUTH_TOKEN"}, true, nil, 0,
			`^PRODUCT +SERIAL +CHANNEL +TYPE\n` + row, `^only the channels are shown`},
		{"a Polar that does not tell, alone", []string{"POLAR_AUTH_TOKEN"}, true, nil, 2, `^$`, `does not tell(.|\n)*set TESTING_IMAGE_SERVER`},
		{"nobody to ask", nil, false, nil, 2, `^$`, `nobody to ask(.|\n)*POLAR_AUTH_TOKEN`},
		{"a product that nobody knows", []string{"TESTING_IMAGE_SERVER", "POLAR_AUTH_TOKEN"}, false, []string{"debian:bookwurm:amd64:default"}, 2,
			`^$`, `no product "debian:bookwurm:amd64:default"(.|\n)*did you mean debian:bookworm`},
		{"a product that Polar does not know", []string{"POLAR_AUTH_TOKEN"}, false, []string{"debian:sid:amd64:default"}, 2, `^$`, `debian:sid:amd64:default: 404`},
		{"another format", []string{"POLAR_AUTH_TOKEN"}, false, []string{"--format", "xml"}, 2, `^$`, `want text or json`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p.t = t
			p.vars = map[string]string{"POLAR_ENDPOINT": all["POLAR_ENDPOINT"]}
			for _, name := range tt.vars {
				p.vars[name] = all[name]
			}
			if tt.plain {
				p.plain()
			}
			p.expect(tt.code, tt.stdout, tt.stderr, append([]string{"status"}, tt.args...)...)
		})
	}
}

func TestStatusAsJSON(t *testing.T) {
	p := newPolarSite(t)
	p.settle(polar.Fail)
	p.report()
	stdout, stderr, code := p.icepak("status", "--format", "json")
	var got []productStatus
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 || len(got) != 1 || len(got[0].Versions) != 1 {
		t.Fatalf("exit %d, %v: %s %s", code, err, stdout, stderr)
	}
	v := got[0].Versions[0]
	if v.State != "testing" || len(v.Channels) != 1 || len(v.Checks) != 1 || v.Checks[0].State != "failed" || v.Checks[0].Updated.IsZero() ||
		len(v.Reports) != 1 || v.Reports[0].Verdict != "error" || v.Created.IsZero() {
		t.Errorf("got %s", stdout)
	}
	p.vars = map[string]string{"ACTIVE_IMAGE_SERVER": p.vars["ACTIVE_IMAGE_SERVER"]}
	if stdout, _, _ := p.icepak("status", "--format", "json"); stdout != "[]\n" {
		t.Errorf("nothing is %q", stdout)
	}
}
