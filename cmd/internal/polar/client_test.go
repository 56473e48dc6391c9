package polar

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// sessions is a server whose sessions end when it is told so.
type sessions struct {
	mu     sync.Mutex
	opened int
	valid  string
	closed bool // to new sessions
}

func (s *sessions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.URL.Path == "/publish/sessions" && s.closed:
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == "/publish/sessions":
		s.opened++
		s.valid = fmt.Sprintf("token%d", s.opened)
		say(http.StatusCreated, fmt.Sprintf(`{"data":{"token":%q}}`, s.valid))(w, r)
	case r.Header.Get("Authorization") != s.valid:
		say(http.StatusUnauthorized, `{"status":"unauthorized"}`)(w, r)
	case r.Method == http.MethodPost:
		say(http.StatusCreated, `{"data":{"id":7,"name":"test"}}`)(w, r)
	default:
		say(http.StatusOK, oneCheck)(w, r)
	}
}

func (s *sessions) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.valid = "none"
}

func TestAnExpiredSessionIsOpenedOnceMore(t *testing.T) {
	srv := &sessions{}
	c := newClient(t, srv)
	if err := c.Authenticate(t.Context(), "a-password"); err != nil {
		t.Fatal(err)
	}
	srv.expire()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := c.Checks(t.Context()); err != nil {
				t.Error(err)
			}
			if err := c.VersionEvent(t.Context(), 1, Test, ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if srv.opened != 2 {
		t.Errorf("%d sessions were opened, want 2", srv.opened)
	}

	srv.expire()
	srv.closed = true
	if _, err := c.Checks(t.Context()); !errors.Is(err, ErrWrongPassword) {
		t.Errorf("a session that cannot be renewed: %v", err)
	}
}

func TestEndpoints(t *testing.T) {
	for in, want := range map[string]string{
		"https://polar.example.com":         "https://polar.example.com",
		" https://polar.example.com/ ":      "https://polar.example.com",
		"http://127.0.0.1:8080":             "http://127.0.0.1:8080",
		"https://example.com/polar//":       "https://example.com/polar",
		"polar.example.com":                 "",
		"localhost:8080":                    "",
		"ftp://polar.example.com":           "",
		"https://":                          "",
		"https://u:pw@polar.example.com":    "",
		"https://polar.example.com/?pw=pw":  "",
		"https://polar.example.com/#pw":     "",
		"https://polar.example.com:pw/":     "",
		"https://polar.example.com/%zz?=pw": "",
	} {
		c, err := New(in, Options{})
		switch {
		case want == "" && (err == nil || strings.Contains(err.Error(), "pw")):
			t.Errorf("New(%q): %v", in, err)
		case want != "" && (err != nil || c.Endpoint() != want):
			t.Errorf("New(%q): %v, %v", in, c, err)
		}
	}
}
