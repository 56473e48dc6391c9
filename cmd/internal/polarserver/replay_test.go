package polarserver

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// An exchange is one that was recorded on a running Polar.
type exchange struct {
	Label, Method, Path string
	Auth, Req           *string
	Status              int
	Headers             map[string]string
	Body                string
}

// A difference is a status that this server answers on purpose to some of the
// recorded exchanges, by their line, where Polar answered another.
type difference struct {
	status int
	polar  int
	why    string
	lines  []int
}

func differences() []difference {
	return []difference{
		{409, 500, "a refused change says why", []int{73, 74, 78, 79, 81, 82, 118, 119, 123, 124, 127, 128, 129}},
		{409, 500, "a serial or a file that is taken says where", []int{44, 45, 46, 47}},
		{422, 500, "a wrong or missing value names its field", []int{4, 5, 7, 48, 49, 50, 51, 52, 56, 57, 58, 85, 86, 87, 88, 89, 130, 132}},
		{422, 500, "an unknown check or cluster names its field", []int{111, 112}},
		{400, 500, "a request of another form is the client's mistake", []int{9, 90}},
		{401, 500, "a malformed session token opens no session", []int{23, 24, 25, 170, 171}},
		{401, 400, "no body is read before the session is known", []int{61}},
		{404, 500, "an id or a key that cannot be is that of nothing", []int{42, 64, 71, 95}},
		{201, 500, "files of 2 GiB and more are fine", []int{54}},
		{201, 500, "JSON is what there is, whatever Accept says", []int{16}},
		{200, 500, "JSON is what there is, whatever Accept says", []int{162}},
		{404, 200, "an expired token opens nothing, also before an item was asked for", []int{149}},
		{200, 302, "the files are here, not at a CDN", []int{153, 154, 155, 156, 157}},
	}
}

// TestAnswersAsPolarDoes replays what was recorded on a running Polar, in its
// order and against the same fixtures, and compares status and shape.
func TestAnswersAsPolarDoes(t *testing.T) {
	s, secrets := setUpRecorded(t)
	h := New(s, Options{})
	versions := map[string]string{} // ids of versions, recorded to ours
	different := map[int]difference{}
	for _, d := range differences() {
		for _, line := range d.lines {
			different[line] = d
		}
	}
	inPath := regexp.MustCompile(`/versions/(\d+)/`)

	for i, ex := range readExchanges(t) {
		line := i + 1
		path := ex.Path
		if m := inPath.FindStringSubmatch(path); m != nil && versions[m[1]] != "" {
			path = strings.Replace(path, m[0], "/versions/"+versions[m[1]]+"/", 1)
		}
		rec := replay(h, ex, path, secrets)

		if d, ok := different[line]; ok {
			if rec.Code != d.status || ex.Status != d.polar {
				t.Errorf("line %d, %s: status %d where Polar has %d, want %d where it has %d: %s",
					line, ex.Label, rec.Code, ex.Status, d.status, d.polar, d.why)
			}
			continue
		}
		if rec.Code != ex.Status {
			t.Errorf("line %d, %s: %s %s: status %d, want %d; body %s", line, ex.Label, ex.Method, ex.Path, rec.Code, ex.Status, rec.Body)
			continue
		}
		for _, name := range []string{"content-type", "cache-control"} {
			got, _, _ := strings.Cut(rec.Header().Get(name), ";")
			if want, _, _ := strings.Cut(ex.Headers[name], ";"); want != "" && got != want {
				t.Errorf("line %d, %s: %s is %q, want %q", line, ex.Label, name, got, want)
			}
		}
		if strings.HasPrefix(ex.Headers["content-type"], "text/") { // for people or robots, not for programs
			if got, want := rec.Header().Get("Location"), ex.Headers["location"]; got != want {
				t.Errorf("line %d, %s: it leads to %q, want %q", line, ex.Label, got, want)
			}
			continue
		}
		var got, recorded any
		if ex.Body != "" {
			if err := json.Unmarshal([]byte(ex.Body), &recorded); err != nil {
				t.Fatalf("line %d: %v", line, err)
			}
		}
		if rec.Body.Len() > 0 {
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
				t.Errorf("line %d, %s: no JSON: %v", line, ex.Label, err)
			}
		}
		if diff := shapeDiff("", got, recorded); diff != "" {
			t.Errorf("line %d, %s: %s\n got %s\nwant %s", line, ex.Label, diff, rec.Body, ex.Body)
		}
		if strings.HasPrefix(ex.Path, "/spaces/") && !reflect.DeepEqual(got, recorded) {
			t.Errorf("line %d, %s: feed differs\n got %s\nwant %s", line, ex.Label, rec.Body, ex.Body)
		}
		if strings.HasSuffix(path, "/versions") && rec.Code == http.StatusCreated {
			versions[id(recorded)] = id(got)
		}
	}
}

func readExchanges(t *testing.T) []exchange {
	t.Helper()
	f, err := os.Open("testdata/exchanges.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []exchange
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var ex exchange
		if err := json.Unmarshal(lines.Bytes(), &ex); err != nil {
			t.Fatal(err)
		}
		all = append(all, ex)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("%d exchanges", len(all))
	}
	return all
}

// setUpRecorded makes what the recorded Polar had when the recording began. It
// returns what of the recorded secrets stands for which of the store's.
func setUpRecorded(t *testing.T) (*polarstore.Store, *strings.Replacer) {
	t.Helper()
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var now time.Time // as the store sees it
	dir := filepath.Join(t.TempDir(), "polar")
	s, err := polarstore.Open(ctx, dir, polarstore.Options{Now: func() time.Time { return now }})
	must(nil, err)
	t.Cleanup(func() { must(nil, s.Close()) })

	var secrets []string
	must(nil, s.SetPassword(ctx, "bot-password-0123456789"))
	for recorded, created := range map[string]time.Time{
		"na52ir6cjcuuGrtdqOHRnUw2scJGFSgZv4kUO2VqwFs=": time.Now(),
		"ie+ShiToXEsMjar5LgehBWFDVzfJcaRMGrlqdoxP7Co=": time.Now(),
		"HSBXnfroj4CXbJLLUyQaG+clwaea5MakqyURwDW+JQ8=": time.Now().Add(-61 * 24 * time.Hour),
	} {
		now = created
		token, err := s.CreateSession(ctx, "bot-password-0123456789")
		must(nil, err)
		secrets = append(secrets, recorded, token)
	}
	now = time.Now()
	for _, sp := range []struct{ channel, typ, recorded string }{
		{"testing", "lxd", "3b11ce5115f41c11acffb32e"},
		{"active", "lxd", "84fc1cc01008b718208269fa"},
		{"active", "incus", "efbbfebcc5cfa64142d2d330"},
		{"testing", "incus", "1de83841b4c8113dbe45d3e6"},
	} {
		_, token, err := s.AddSpace(ctx, polarstore.Space{Channel: sp.channel, Type: sp.typ})
		must(nil, err)
		secrets = append(secrets, sp.recorded, token)
	}
	_, token, err := s.AddSpace(ctx, polarstore.Space{Channel: "active", Type: "lxd", Expires: now.Add(time.Minute)})
	must(nil, err)
	secrets = append(secrets, "d10d768de76e4cccfc7b4924", token)
	now = now.Add(time.Hour)
	for _, key := range []string{"debian:bookworm:amd64:default", "alpine:3.19:amd64:default", "debian:bookworm:amd64:contract"} {
		must(s.AddProduct(ctx, key, map[string]string{"secureboot": "false"}))
	}
	must(s.AddChecks(ctx, "ipv4", "ipv6", "package-install", "service-start", "gpu"))
	for name, state := range map[string]string{"one": "healthy", "two": "unhealthy"} {
		c := testCluster(t, name)
		c.State = state
		must(s.AddCluster(ctx, c))
	}
	// The versions that get into testing have their files.
	for _, serial := range []string{"1795357939a", "1795357993a", "1795357993b"} {
		files := filepath.Join(dir, "files/images/debian/bookworm/amd64/contract", serial)
		must(nil, os.MkdirAll(files, 0o700))
		for name, size := range map[string]int64{"incus.tar.xz": 296, "rootfs.squashfs": 68423680} {
			f, err := os.Create(filepath.Join(files, name))
			must(nil, err)
			must(nil, f.Truncate(size))
			must(nil, f.Close())
		}
	}
	return s, strings.NewReplacer(secrets...)
}

func replay(h http.Handler, ex exchange, path string, secrets *strings.Replacer) *httptest.ResponseRecorder {
	body := ""
	if ex.Req != nil {
		body = *ex.Req
	}
	r := httptest.NewRequest(ex.Method, secrets.Replace(path), strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	switch ex.Label {
	case "form body":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	case "text/plain ct":
		r.Header.Set("Content-Type", "text/plain")
	case "accept html", "images accept html":
		r.Header.Set("Accept", "text/html")
	}
	if ex.Auth != nil {
		r.Header.Set("Authorization", secrets.Replace(*ex.Auth))
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

// id returns the id in an answer.
func id(v any) string {
	m, _ := v.(map[string]any)
	data, _ := m["data"].(map[string]any)
	return fmt.Sprint(data["id"])
}

// shapeDiff tells where keys or types of two JSON values differ.
func shapeDiff(at string, got, want any) string {
	switch want := want.(type) {
	case map[string]any:
		m, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s is %T, want an object", at, got)
		}
		have, need := slices.Sorted(maps.Keys(m)), slices.Sorted(maps.Keys(want))
		if !slices.Equal(have, need) {
			return fmt.Sprintf("%s has the keys %v, want %v", at, have, need)
		}
		for _, key := range need {
			if diff := shapeDiff(at+"."+key, m[key], want[key]); diff != "" {
				return diff
			}
		}
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Sprintf("%s is %v, want %d elements", at, got, len(want))
		}
		for i := range want {
			if diff := shapeDiff(fmt.Sprintf("%s[%d]", at, i), list[i], want[i]); diff != "" {
				return diff
			}
		}
	default:
		if reflect.TypeOf(got) != reflect.TypeOf(want) {
			return fmt.Sprintf("%s is %T, want %T", at, got, want)
		}
	}
	return ""
}
