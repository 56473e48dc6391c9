package polarserver

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// visit asks for a page as a browser on this machine does, after change has had the
// request.
func visit(h http.Handler, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	r.Host, r.RemoteAddr = "127.0.0.1:8080", "127.0.0.1:50000"
	if change != nil {
		change(r)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func TestPagesShowStatesTimesAndReasons(t *testing.T) {
	s, _ := newStore(t)
	for i := range newest {
		importBuild(t, s, fmt.Sprintf("202601%02d-00", i+1))
	}
	v := importBuild(t, s, testSerial, "test")
	assess(t, s, v, "ipv6", "run", "fail")
	assess(t, s, v, "ipv4", "run", "pass")
	h, session := New(s, Options{OpenPages: true}), newSession(t, s)
	if rec := put(h, fmt.Sprintf("/publish/versions/%d/reports/container", v.ID), session, encode(t, imageResult(v))); rec.Code != 204 {
		t.Fatalf("report: %d %s", rec.Code, rec.Body)
	}
	version := fmt.Sprintf("/versions/%d", v.ID)
	for _, tt := range []struct {
		path string
		want []string // patterns
		not  string
	}{
		{"/", []string{
			`<a href="/products/debian:bookworm:amd64:default">debian:bookworm:amd64:default</a>`,
			`<a href="` + version + `">20260102-01</a>`, `</span> testing</span> <time datetime="20\d\d-`,
			`>ipv6</th>\s*<th [^>]*>ipv4</th>`, `</span> failed</span> <time`, `</span> passed</span> <time`,
			`<b>ipv6, container</b> interface eth0: addrs: expected fd42::/64, found \[\]`, `>1 more</a>`,
		}, `20260101-00`},
		{"/products/Debian:bookworm:amd64:default", []string{`<h1>debian:bookworm:amd64:default</h1>`, `20260102-01`, `20260101-00`}, `more</a>`},
		{version, []string{
			`<h1>20260102-01</h1>`, `rootfs.squashfs`, `ipv6, container`, `on rack1`, `icepak 1.2.3`, `2 of 2`,
			`<figcaption>interface eth0: addrs</figcaption><pre>expected  fd42::/64\nactual    \[\]</pre>`,
		}, `Nothing has happened`},
	} {
		t.Run(tt.path, func(t *testing.T) {
			rec := visit(h, tt.path, nil)
			if rec.Code != http.StatusOK {
				t.Fatalf("%d %s", rec.Code, rec.Body)
			}
			for _, want := range tt.want {
				if !regexp.MustCompile(want).MatchString(rec.Body.String()) {
					t.Errorf("no %s in %s", want, rec.Body)
				}
			}
			if strings.Contains(rec.Body.String(), tt.not) {
				t.Errorf("%s in %s", tt.not, rec.Body)
			}
			for header, want := range map[string]string{
				"Content-Security-Policy": "default-src 'none'; style-src 'self'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			} {
				if got := rec.Header().Get(header); !strings.HasPrefix(got, want) {
					t.Errorf("%s is %q", header, got)
				}
			}
		})
	}
}

// Reports, comments and names come from outside. None of it gets to be more than text.
func TestHostileTextIsOnlyText(t *testing.T) {
	s, _ := newStore(t)
	v := importBuild(t, s, testSerial)
	printable := report.Clean(hostile) // the store takes no escapes in an event
	for _, event := range []string{"test", "deactivate"} {
		if _, err := s.FireVersion(t.Context(), v.ID, event, polarstore.By{Actor: printable, Comment: printable}); err != nil {
			t.Fatal(err)
		}
	}
	assess(t, s, v, "ipv6", "run", "fail")
	image := imageResult(v)
	image.Reason, image.Failed, image.Remote, image.Spec = hostile, report.Stage(hostile), hostile, hostile
	image.Checks = append(image.Checks, report.CheckResult{
		Name: hostile, Outcome: checks.Outcome{Verdict: checks.Fail, Reason: hostile, Total: 1},
		Results: []checks.Result{{Type: hostile, ID: hostile, Property: hostile, Title: hostile, Verdict: checks.Error,
			Expected: map[string]any{hostile: hostile}, Actual: hostile, Message: hostile, Output: hostile, Source: hostile}},
	})
	image.Checks[1].Reason = hostile
	image.Stages = []report.StageTime{{Stage: report.Stage(hostile)}}
	image.Diagnostics = []report.Diagnostic{{Name: hostile, Text: hostile}}
	h, session := New(s, Options{OpenPages: true}), newSession(t, s)
	if rec := put(h, fmt.Sprintf("/publish/versions/%d/reports/container", v.ID), session, encode(t, image)); rec.Code != 204 {
		t.Fatalf("report: %d %s", rec.Code, rec.Body)
	}
	tags := regexp.MustCompile(`<(script|img)|onerror="`)
	for path, times := range map[string]int{"/": 3, fmt.Sprintf("/versions/%d", v.ID): 20} {
		body := visit(h, path, nil).Body.String()
		if n := strings.Count(body, "&lt;script&gt;alert(1)&lt;/script&gt;red"); n < times {
			t.Errorf("%s shows it %d times: %s", path, n, body)
		}
		if tags.MatchString(body) {
			t.Errorf("%s has it as markup: %s", path, body)
		}
		if i := strings.IndexFunc(body, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%s has %q", path, body[i:min(len(body), i+20)])
		}
	}
}

func TestWhoMaySeeThePages(t *testing.T) {
	s, _ := newStore(t)
	newSession(t, s)
	with := func(password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth("whoever", password) }
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, tt := range []struct {
		name   string
		open   bool
		change func(*http.Request)
		want   int
	}{
		{"on this machine", true, nil, 200},
		{"by the name localhost", true, func(r *http.Request) { r.Host = "localhost" }, 200},
		{"over IPv6", true, func(r *http.Request) { r.Host, r.RemoteAddr = "[::1]:8080", "[::1]:50000" }, 200},
		{"from another machine", true, func(r *http.Request) { r.RemoteAddr = "192.0.2.7:50000" }, 401},
		{"led here by another name", true, func(r *http.Request) { r.Host = "rebound.example.com:8080" }, 401},
		{"through a proxy", true, header("X-Forwarded-For", "192.0.2.7"), 401},
		{"through a proxy that has the new header", true, header("Forwarded", "for=192.0.2.7"), 401},
		{"through a proxy, with the password", true, func(r *http.Request) { r.Host = "polar.example.com"; with("bot-password")(r) }, 200},
		{"closed", false, nil, 401},
		{"closed, with the password", false, with("bot-password"), 200},
		{"closed, with another password", false, with("bot-passwort"), 401},
		{"closed, with no password", false, with(""), 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := New(s, Options{OpenPages: tt.open})
			for _, path := range []string{"/", "/products/" + testKey, "/versions/1"} {
				rec := visit(h, path, tt.change)
				want := tt.want
				if want == 200 && path != "/" {
					want = 404 // there is nothing
				}
				if rec.Code != want || (want == 401) != strings.HasPrefix(rec.Header().Get("WWW-Authenticate"), "Basic ") {
					t.Errorf("%s: %d %v", path, rec.Code, rec.Header())
				}
				if strings.HasPrefix(rec.Body.String(), "{") {
					t.Errorf("%s is no page: %s", path, rec.Body)
				}
			}
		})
	}
}

func TestAPasswordIsHashedOnceAVisit(t *testing.T) {
	s, dir := newStore(t)
	newSession(t, s)
	h := New(s, Options{})
	see := func(password string) int {
		return visit(h, "/", func(r *http.Request) { r.SetBasicAuth("me", password) }).Code
	}
	for range 5 {
		if code := see("bot-password"); code != 200 {
			t.Fatal(code)
		}
	}
	if n := countSessions(t, dir); n != 2 { // newSession's, and one for the visit
		t.Errorf("%d sessions", n)
	}
	if err := s.SetPassword(t.Context(), "new-password"); err != nil {
		t.Fatal(err)
	}
	if old, changed := see("bot-password"), see("new-password"); old != 401 || changed != 200 {
		t.Errorf("the old password gives %d, the new one %d", old, changed)
	}
}

func TestWhatIsNotThereIsAPageOrNot(t *testing.T) {
	s, _ := newStore(t)
	h := New(s, Options{OpenPages: true})
	for path, want := range map[string]string{
		"/versions/7": "Not found", "/versions/seven": "Not found", "/products/x": "Not found",
		"/elsewhere": `"detail":"Not Found"`, "/spaces/unknown": `"detail":"Not Found"`,
	} {
		if rec := visit(h, path, nil); rec.Code != http.StatusNotFound || !strings.Contains(rec.Body.String(), want) {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	if body := visit(h, "/", nil).Body.String(); !strings.Contains(body, "icepak polar product add") {
		t.Errorf("an empty server says %s", body)
	}
}

func TestSpidersAreSentAway(t *testing.T) {
	s, _ := newStore(t)
	rec := get(New(s, Options{}), "/robots.txt")
	if rec.Code != 200 || rec.Body.String() != "User-agent: *\nDisallow: /\n" || rec.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%d %q %v", rec.Code, rec.Body, rec.Header())
	}
	style := get(New(s, Options{}), "/style.css")
	if style.Code != 200 || style.Header().Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("%d %v", style.Code, style.Header())
	}
}

// What is read has a contrast of at least 4.5 to what is behind it, as WCAG's level AA
// has it, in light and in dark.
func TestTextIsReadable(t *testing.T) {
	css, err := pageFiles.ReadFile("page/style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, ok := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("there is no dark scheme")
	}
	for scheme, text := range map[string]string{"light": light, "dark": dark} {
		colors := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z]+): #([0-9a-f]{6});`).FindAllStringSubmatch(text, -1) {
			colors[m[1]] = luminance(t, m[2])
		}
		for _, front := range []string{"text", "quiet", "link", "good", "bad", "busy"} {
			for _, back := range []string{"page", "soft"} {
				a, b := colors[front]+0.05, colors[back]+0.05
				if contrast := max(a, b) / min(a, b); contrast < 4.5 {
					t.Errorf("%s: %s on %s has a contrast of %.1f", scheme, front, back, contrast)
				}
			}
		}
	}
}

// luminance is WCAG's relative luminance of a colour.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(hex, 16, 24)
	if err != nil {
		t.Fatal(err)
	}
	linear := func(shift int) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(16) + 0.7152*linear(8) + 0.0722*linear(0)
}
