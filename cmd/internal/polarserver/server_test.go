package polarserver

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

// get asks the handler for the path and returns the answer.
func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func post(h http.Handler, path, token, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", token)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func addSpace(t *testing.T, s *polarstore.Store, channel, typ string) (id int64, token string) {
	t.Helper()
	sp, token, err := s.AddSpace(t.Context(), polarstore.Space{Channel: channel, Type: typ})
	if err != nil {
		t.Fatal(err)
	}
	return sp.ID, token
}

func newSession(t *testing.T, s *polarstore.Store) string {
	t.Helper()
	if err := s.SetPassword(t.Context(), "bot-password"); err != nil {
		t.Fatal(err)
	}
	token, err := s.CreateSession(t.Context(), "bot-password")
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestFeedShowsItsChannelOnly(t *testing.T) {
	s, _ := newStore(t)
	inTesting, active := importBuild(t, s, "20260101", "test"), importBuild(t, s, "20260102", "test", "activate")
	created := importBuild(t, s, "20260103")
	srv := httptest.NewServer(New(s, Options{}))
	defer srv.Close()
	for _, tt := range []struct{ channel, typ, serial string }{
		{"testing", "lxd", inTesting.Serial},
		{"testing", "incus", inTesting.Serial},
		{"active", "lxd", active.Serial},
		{"active", "incus", active.Serial},
	} {
		t.Run(tt.channel+" "+tt.typ, func(t *testing.T) {
			_, token := addSpace(t, s, tt.channel, tt.typ)
			feed, err := simplestreams.Fetch(t.Context(), srv.Client(), srv.URL+"/spaces/"+token)
			if err != nil {
				t.Fatal(err)
			}
			if got := feed.Serials(testKey); len(got) != 1 || got[0] != tt.serial {
				t.Fatalf("serials %v, want %s; %s is only created", got, tt.serial, created.Serial)
			}
			items := feed.Products[testKey].Versions[tt.serial].Items
			if _, ok := items[tt.typ+".tar.xz"]; !ok || len(items) != 2 {
				t.Errorf("items %v", items)
			}
			image, err := feed.Image(testKey, tt.serial, simplestreams.Container)
			if err != nil {
				t.Fatal(err)
			}
			if want := sum("incus.tar.xz of "+tt.serial, "rootfs.squashfs of "+tt.serial); image.Fingerprint != want {
				t.Errorf("fingerprint %s, want %s", image.Fingerprint, want)
			}
			root := get(srv.Config.Handler, "/spaces/"+token+image.Root.Path)
			if root.Code != http.StatusOK || root.Body.String() != "rootfs.squashfs of "+tt.serial || sum(root.Body.String()) != image.Root.SHA256 {
				t.Errorf("root: %d %q", root.Code, root.Body)
			}
		})
	}
}

func TestRemovedSpaceOpensNothing(t *testing.T) {
	s, _ := newStore(t)
	importBuild(t, s, testSerial)
	h := New(s, Options{})
	id, token := addSpace(t, s, "testing", "lxd")
	paths := []string{"/streams/v1/index.json", "/streams/v1/images.json", "/items/1"}
	for _, path := range paths {
		if rec := get(h, "/spaces/"+token+path); rec.Code != http.StatusOK {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
	if err := s.RemoveSpace(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if rec := get(h, "/spaces/"+token+path); rec.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
}

func TestItems(t *testing.T) {
	s, dir := newStore(t)
	v := importBuild(t, s, testSerial)
	var logged strings.Builder
	h := New(s, Options{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	_, token := addSpace(t, s, "testing", "lxd")
	const whole = "rootfs.squashfs of " + testSerial
	root := "/spaces/" + token + "/items/3"

	if rec := get(h, root); rec.Code != 200 || rec.Body.String() != whole || rec.Header().Get("Content-Length") != fmt.Sprint(len(whole)) {
		t.Errorf("whole: %d %q", rec.Code, rec.Body)
	}
	if rec := get(h, root, "Range", "bytes=7-14"); rec.Code != 206 || rec.Body.String() != whole[7:15] {
		t.Errorf("range: %d %q", rec.Code, rec.Body)
	}
	if rec := get(h, root, "Range", "bytes=7-14", "If-Range", `"another"`); rec.Code != 200 || rec.Body.String() != whole {
		t.Errorf("range of another file: %d %q", rec.Code, rec.Body)
	}
	head := httptest.NewRecorder()
	h.ServeHTTP(head, httptest.NewRequest("HEAD", root, nil))
	if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") != fmt.Sprint(len(whole)) {
		t.Errorf("head: %d %q", head.Code, head.Body)
	}
	// As in Polar, each request counts, of whatever kind.
	items, err := s.Items(t.Context(), v.ID)
	if err != nil || items[2].Hits != 4 || items[0].Hits != 0 {
		t.Errorf("items %+v, %v", items, err)
	}

	// A file that is not as it was imported is not served.
	if err := os.WriteFile(filepath.Join(dir, "files", items[2].Path), []byte("cut"), 0o600); err != nil {
		t.Fatal(err)
	}
	if rec := get(h, root); rec.Code != 500 || strings.Contains(rec.Body.String(), "cut") {
		t.Errorf("broken: %d %q", rec.Code, rec.Body)
	}
	if strings.Contains(logged.String(), token) || !strings.Contains(logged.String(), "has 3 bytes") {
		t.Errorf("log: %s", &logged)
	}
	if err := os.Remove(filepath.Join(dir, "files", items[2].Path)); err != nil {
		t.Fatal(err)
	}
	if rec := get(h, root); rec.Code != 404 || !strings.Contains(rec.Body.String(), "file not found") {
		t.Errorf("missing: %d %s", rec.Code, rec.Body)
	}
}

func TestItemsStayInTheirFolder(t *testing.T) {
	s, _ := newStore(t)
	p, err := s.AddProduct(t.Context(), testKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	h, session := New(s, Options{}), newSession(t, s)
	for _, path := range []string{"../polar.db", "images/../../polar.db", "/etc/passwd", "incoming/x", "images//x"} {
		body := fmt.Sprintf(`{"version":{"serial":"20260101","items":[{"name":"a","file_type":"squashfs","hash":%q,
			"size":1,"path":%q,"is_metadata":false,"combined_hashes":[]}]}}`, sum("a"), path)
		if rec := post(h, fmt.Sprintf("/publish/products/%d/versions", p.ID), session, body); rec.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
}

func TestRefusalsSayWhy(t *testing.T) {
	s, _ := newStore(t)
	v := importBuild(t, s, testSerial)
	h, session := New(s, Options{}), newSession(t, s)
	rec := post(h, fmt.Sprintf("/publish/versions/%d/events", v.ID), session, `{"event":{"name":"activate"}}`)
	var body struct{ Errors struct{ Detail string } }
	if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if rec.Code != http.StatusConflict || body.Errors.Detail != "version 1 is created: activate is refused" {
		t.Errorf("%d %q", rec.Code, body.Errors.Detail)
	}
}

func TestLargeRequestsAreRefused(t *testing.T) {
	s, _ := newStore(t)
	h := New(s, Options{})
	body := `{"user":{"password":"` + strings.Repeat("x", maxBody) + `"}}`
	if rec := post(h, "/publish/sessions", "", body); rec.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestServerSurvivesPanics(t *testing.T) {
	var logged strings.Builder
	s := &server{log: slog.New(slog.NewTextHandler(&logged, nil))}
	rec := get(s.handle(func(http.ResponseWriter, *http.Request) error { panic("at the disco") }), "/spaces/secret")
	if rec.Code != http.StatusInternalServerError || !strings.Contains(rec.Body.String(), "Internal Server Error") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if !strings.Contains(logged.String(), "at the disco") || strings.Contains(logged.String(), "secret") {
		t.Errorf("log: %s", &logged)
	}
}

func TestBrokenDatabaseIsLoggedAndNotTold(t *testing.T) {
	s, dir := newStore(t)
	session := newSession(t, s)
	db, err := sql.Open("sqlite", filepath.Join(dir, "polar.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "DROP TABLE clusters"); err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	h := New(s, Options{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	rec := get(h, "/publish/testing/clusters", "Authorization", session)
	if rec.Code != 500 || strings.Contains(rec.Body.String(), "no such table") || !strings.Contains(logged.String(), "no such table") {
		t.Errorf("%d %s, log %s", rec.Code, rec.Body, &logged)
	}
}

func FuzzRequests(f *testing.F) {
	for _, seed := range []string{
		`{"event":{"name":"test"}}`, `{"event":null}`, `{"version":{"serial":"20260101","items":[{"name":"a","size":"1","combined_hashes":[{}]}]}}`,
		`{"assessment":{"check_id":"1","cluster_id":1.5,"instance_type":[]}}`, `{"user":{"password":5}}`, `[`, `event[name]=test&user[password]=`, `event[]=%zz`,
	} {
		f.Add(seed)
	}
	names := []string{"event", "version", "assessment", "user"}
	f.Fuzz(func(t *testing.T, body string) {
		for _, form := range []string{"application/json; charset=utf-8", "application/x-www-form-urlencoded"} {
			for _, name := range names {
				r := httptest.NewRequest("POST", "/", strings.NewReader(body))
				r.Header.Set("Content-Type", form)
				values, err := readFields(httptest.NewRecorder(), r, name)
				if err != nil {
					continue
				}
				values.text("name")
				values.number("check_id")
				values.items("items")
				for _, field := range []string{"name", "check_id", "items"} {
					if raw, ok := values.values[field]; (!ok || string(raw) == "null") && values.wrong[field] == "" {
						t.Errorf("nothing is wrong with %s, which is missing", field)
					}
				}
			}
		}
	})
}

func TestAFullDiskIsSaid(t *testing.T) {
	full := fmt.Errorf("write x: %w", syscall.ENOSPC)
	s := &server{log: slog.New(slog.DiscardHandler)}
	rec := get(s.handle(func(http.ResponseWriter, *http.Request) error { return full }), "/")
	if rec.Code != http.StatusInsufficientStorage || !strings.Contains(rec.Body.String(), "disk is full") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if said, status := bucketError(full); status != http.StatusInsufficientStorage || said.Reason != diskFull {
		t.Errorf("the bucket says %d %v", status, said)
	}
}
