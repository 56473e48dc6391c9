package polar

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestExtensionsAreThoseThatTheHeaderNames(t *testing.T) {
	for _, tt := range []struct {
		header []string
		want   string
	}{
		{nil, ""},
		{[]string{"idempotency, comment"}, "idempotency comment"},
		{[]string{" Idempotency ,status", "comment"}, "idempotency comment"},
		{[]string{"idempotency-2, no comment"}, ""},
	} {
		h := http.Header{}
		for _, line := range tt.header {
			h.Add("polar-extensions", line)
		}
		c := &Client{extensions: extensionsOf(h)}
		got := slices.DeleteFunc([]string{extIdempotency, extComment}, func(name string) bool { return !c.offers(name) })
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%q: %q, want %q", tt.header, got, tt.want)
		}
	}
}

func TestNoEventFailsForAnActorsName(t *testing.T) {
	for in, want := range map[string]string{
		"octocat (run 7)":                     "octocat (run 7)",
		"a\x1b[31m\nb\xff":                    "a[31mb",
		strings.Repeat("x", 300):              strings.Repeat("x", maxActor),
		strings.Repeat("x", maxActor-1) + "é": strings.Repeat("x", maxActor-1),
	} {
		if got := cleanActor(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
