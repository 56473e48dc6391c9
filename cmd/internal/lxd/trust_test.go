package lxd

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func tokenText(t testing.TB, fingerprint, secret string) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"client_name": "c", "fingerprint": fingerprint, "addresses": []string{"10.0.0.1:8443"}, "secret": secret})
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

func TestTokens(t *testing.T) {
	good := tokenText(t, sameDigit("A"), "hush")
	token, err := ParseToken(good)
	if err != nil || token.Fingerprint != sameDigit("a") {
		t.Errorf("%v, %v", token, err)
	}
	said := fmt.Sprintf("%v %+v %#v %v %+v %#v", token, token, token, Welcome{token, good}, Welcome{token, good}, Welcome{token, good})
	if strings.Contains(said, good) {
		t.Errorf("it prints as %s", said)
	}
	for _, text := range []string{"", "hush", good[1:], tokenText(t, "", "hush"), tokenText(t, sameDigit("a"), ""), base64.StdEncoding.EncodeToString([]byte("[]"))} {
		if _, err := ParseToken(text); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add(tokenText(f, sameDigit("a"), "hush"))
	f.Fuzz(func(t *testing.T, text string) {
		if token, err := ParseToken(text); err == nil && (len(token.Fingerprint) != 64 || token.text != text) {
			t.Errorf("%q: %q", text, token.Fingerprint)
		}
	})
}

// A server takes a token where its version has it: newer ones in a field of its own.
func TestEnrolSpeaksToOldAndNewServers(t *testing.T) {
	cert, key := keyPair(t)
	text := tokenText(t, sameDigit("a"), "hush")
	token, err := ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		info    string
		welcome Welcome
		project string
		want    string
	}{
		// Incus does not tell a stranger what it is. Either takes what it knows of the two.
		{"a token, an older LXD or Incus", `"api_extensions":["certificate_token"]`, Welcome{Token: token}, "", "password=" + text + "trust_token=" + text},
		{"a token, new", `"api_extensions":["explicit_trust_token"]`, Welcome{Token: token}, "", "trust_token=" + text},
		{"a password", `"api_extensions":["explicit_trust_token"]`, Welcome{Password: "please"}, "", "password=please"},
		{"for a project", `"api_extensions":[]`, Welcome{Password: "please"}, "p", "password=please restricted=[p]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDaemon(t)
			var got string
			d.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					fmt.Fprintf(w, `{"type":"sync","status_code":200,"metadata":{"auth":"untrusted",%s}}`, tt.info)
					return
				}
				var post struct {
					Name, Type, Password string
					Token                string `json:"trust_token"`
					Restricted           bool
					Projects             []string
				}
				if err := json.NewDecoder(r.Body).Decode(&post); err != nil {
					t.Error(err)
				}
				if post.Password != "" {
					got += "password=" + post.Password
				}
				if post.Token != "" {
					got += "trust_token=" + post.Token
				}
				if post.Restricted {
					got += fmt.Sprintf(" restricted=%v", post.Projects)
				}
				if post.Name != "icepak-rack1" || post.Type != "client" || r.URL.Path != "/1.0/certificates" {
					t.Errorf("%s %+v", r.URL.Path, post)
				}
				fmt.Fprint(w, `{"type":"sync","status_code":200,"metadata":null}`)
			})
			r := Remote{Name: "rack1", Addr: d.URL, Project: tt.project, ClientCert: cert, ClientKey: key, Fingerprints: []string{d.fingerprint}}
			if err := Enrol(t.Context(), r, "icepak-rack1", tt.welcome, "icepak/test"); err != nil || got != tt.want {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
