package polarserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// hostile is what a guest may print: markup, a terminal's escapes, text that turns
// around.
const hostile = "<script>alert(1)</script>\x1b[31mred\x1b]0;owned\x07 \"'><img src=x onerror=alert(2)> \u202egnp.exe &amp; \x00"

// imageResult is a container of the version in which ipv6 failed.
func imageResult(v polarstore.Version) report.ImageResult {
	return report.ImageResult{
		Image:   report.Image{Product: v.Product, Serial: v.Serial, Type: "container", Remote: "rack1"},
		Verdict: checks.Fail,
		Checks: []report.CheckResult{
			{Name: "ipv4", Outcome: checks.Outcome{Verdict: checks.Pass, Passed: 2, Total: 2}},
			{Name: "ipv6", Outcome: checks.Outcome{Verdict: checks.Fail, Passed: 0, Total: 1}, Results: []checks.Result{
				{Type: "interface", ID: "eth0", Property: "addrs", Verdict: checks.Fail, Expected: "fd42::/64", Actual: []string{}},
			}},
		},
	}
}

func encode(t *testing.T, images ...report.ImageResult) string {
	t.Helper()
	doc, err := report.EncodeJSON(report.Summary{Version: "1.2.3", Verdict: checks.Fail, Images: images})
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

func put(h http.Handler, path, token, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("PUT", path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", token)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

// assess adds a check and fires events on the version's assessment by it as a container.
func assess(t *testing.T, s *polarstore.Store, v polarstore.Version, slug string, events ...string) {
	t.Helper()
	check, err := s.AddChecks(t.Context(), slug)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := lxd.NewIdentity("tester")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := s.AddCluster(t.Context(), polarstore.Cluster{Name: "for " + slug, Type: "lxd", Arch: "amd64",
		Endpoint: "https://one.example.com:8443", Certificate: string(cert), PrivateKey: polarstore.Secret(key)})
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Assessment(t.Context(), v.ID, check[0].ID, cluster.ID, "container")
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range events {
		if _, err := s.FireAssessment(t.Context(), a.ID, event, polarstore.By{Actor: "test"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAReportIsOfItsVersionOnly(t *testing.T) {
	s, _ := newStore(t)
	v := importBuild(t, s, testSerial, "test")
	h, session := New(s, Options{}), newSession(t, s)
	good := imageResult(v)
	other, vm := good, good
	other.Serial = "20260102-02"
	vm.Type = "virtual-machine"
	path := fmt.Sprintf("/publish/versions/%d/reports/", v.ID)
	for _, tt := range []struct {
		name, path, body string
		want             int
	}{
		{"its own", path + "container", encode(t, good), 204},
		{"as a virtual machine", path + "vm", encode(t, vm), 204},
		{"of another serial", path + "container", encode(t, other), 422},
		{"of another type", path + "vm", encode(t, good), 422},
		{"of a type that is none", path + "machine", encode(t, good), 422},
		{"of two images", path + "container", encode(t, good, good), 422},
		{"of none", path + "container", encode(t), 422},
		{"no report", path + "container", `{"schema_version":1}`, 422},
		{"no JSON", path + "container", `<html>`, 422},
		{"too large", path + "container", strings.Repeat(" ", maxReport+1), 413},
		{"of an unknown version", "/publish/versions/99/reports/container", encode(t, good), 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if rec := put(h, tt.path, session, tt.body); rec.Code != tt.want || tt.want == 204 && rec.Body.Len() > 0 {
				t.Errorf("%d %s, want %d", rec.Code, rec.Body, tt.want)
			}
		})
	}
	if rec := put(h, path+"container", "", encode(t, good)); rec.Code != http.StatusUnauthorized {
		t.Errorf("without a session: %d", rec.Code)
	}
}

func TestStatusTellsStatesAndWhy(t *testing.T) {
	s, _ := newStore(t)
	older := importBuild(t, s, "20260101", "test", "activate")
	v := importBuild(t, s, testSerial, "test")
	assess(t, s, v, "ipv6", "run", "fail")
	if _, err := s.AddProduct(t.Context(), "alpine:3.22:arm64:default", nil); err != nil {
		t.Fatal(err)
	}
	h, session := New(s, Options{}), newSession(t, s)
	if rec := put(h, fmt.Sprintf("/publish/versions/%d/reports/container", v.ID), session, encode(t, imageResult(v))); rec.Code != 204 {
		t.Fatalf("report: %d %s", rec.Code, rec.Body)
	}
	for _, tt := range []struct {
		query, want string
		code        int
	}{
		{"", "alpine:3.22:arm64:default debian:bookworm:amd64:default 20260102-01 testing 20260101 active", 200},
		{"?product=DEBIAN:bookworm:amd64:default", "debian:bookworm:amd64:default 20260102-01 testing 20260101 active", 200},
		{"?product=alpine:3.22:arm64:default", "alpine:3.22:arm64:default", 200},
		{"?product=debian:sid:amd64:default", "", 404},
	} {
		t.Run("status"+tt.query, func(t *testing.T) {
			rec := get(h, "/publish/status"+tt.query, "Authorization", session)
			var answer struct{ Data []productJSON }
			if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != tt.code {
				t.Fatalf("%d %s, %v", rec.Code, rec.Body, err)
			}
			var got []string
			for _, p := range answer.Data {
				got = append(got, p.Product)
				for _, v := range p.Versions {
					got = append(got, v.Serial, v.State)
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %s", strings.Join(got, " "))
			}
		})
	}
	rec := get(h, "/publish/status?product="+testKey, "Authorization", session)
	for _, want := range []string{
		`"check":"ipv6","instance_type":"container","state":"failed","updated_at":"20`,
		`"why":"interface eth0: addrs: expected fd42::/64, found []"`,
		`"reports":[{"instance_type":"container","verdict":"fail","posted_at":"20`,
		fmt.Sprintf(`"id":%d,"serial":"20260101","state":"active","created_at":"20`, older.ID),
		`"assessments":[],"reports":[]`,
	} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("no %s in %s", want, rec.Body)
		}
	}
	if rec := get(h, "/publish/status"); rec.Code != http.StatusUnauthorized {
		t.Errorf("without a session: %d", rec.Code)
	}
}

func TestASessionTellsOfStatusAndReports(t *testing.T) {
	s, _ := newStore(t)
	newSession(t, s)
	rec := post(New(s, Options{}), "/publish/sessions", "", `{"user":{"password":"bot-password"}}`)
	for _, name := range []string{"status", "report"} {
		if got := rec.Header().Get("Polar-Extensions"); !strings.Contains(", "+got+",", ", "+name+",") {
			t.Errorf("no %s in %q", name, got)
		}
	}
}
