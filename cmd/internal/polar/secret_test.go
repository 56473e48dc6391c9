package polar

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

func TestSecretsDoNotPrint(t *testing.T) {
	const text = "-----BEGIN PRIVATE KEY----- xyz"
	cluster := Cluster{ID: 1, Credential: Credential{PrivateKey: text, Password: text}}
	var out bytes.Buffer
	for _, v := range []any{Secret(text), cluster, &cluster, []Cluster{cluster}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(data)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	}
	out.WriteString(Secret(text).String())
	if s := out.String(); strings.Contains(s, "PRIVATE") || strings.Contains(s, fmt.Sprintf("%x", text[:8])) || !strings.Contains(s, hidden) {
		t.Error(s)
	}
	if string(Secret(text)) != text {
		t.Error("a secret does not give its text")
	}
}

// A server that answers with what it was sent must not bring it into a log.
func TestErrorsTellNoSecrets(t *testing.T) {
	const password, token = "hunter2-hunter2", "c2VjcmV0LXRva2Vu"
	secrets := []string{password, token, "PRIVATE"}
	echo := password + " " + token
	faults := map[string]http.HandlerFunc{
		"cut":        cut,
		"half":       half,
		"server":     say(500, echo),
		"detail":     say(500, `{"errors":{"detail":"`+echo+`"}}`),
		"conflict":   say(409, `{"errors":{"detail":"`+echo+`"}}`),
		"fields":     say(422, `{"errors":{"`+token+`":["`+password+`"]}}`),
		"html":       say(200, "<html>"+echo),
		"not json":   say(200, echo),
		"wrong type": say(200, `{"data":"`+echo+`"}`),
		"wrong key":  say(200, `{"data":{"credential":{"private_key":"PRIVATE","certificate":[]}}}`),
		"missing":    say(404, echo),
		"session":    say(401, echo),
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://example.com/"+token+"?"+password)
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"redirect host": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://"+token+"/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"not HTTP": func(w http.ResponseWriter, r *http.Request) {
			conn, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = buf.WriteString(echo + "\r\n\r\n")
			_ = buf.Flush()
			_ = conn.Close()
		},
		"header": func(w http.ResponseWriter, r *http.Request) {
			conn, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = buf.WriteString("HTTP/1.1 200 OK\r\n" + token + "\r\n\r\n")
			_ = buf.Flush()
			_ = conn.Close()
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			open := true // the first session is given
			c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if open {
					open = false
					say(201, `{"data":{"token":"`+token+`"}}`)(w, r)
					return
				}
				fault(w, r)
			}))
			if err := c.Authenticate(t.Context(), password); err != nil {
				t.Fatal(err)
			}
			calls := map[string]func(context.Context) error{
				"product":  func(ctx context.Context) error { _, err := c.Product(ctx, "a:b:c:d"); return err },
				"version":  func(ctx context.Context) error { _, err := c.Version(ctx, 1, "20261122"); return err },
				"event":    func(ctx context.Context) error { return c.VersionEvent(ctx, 1, Activate, "") },
				"promote":  func(ctx context.Context) error { return c.Promote(ctx, "a:b:c:d", Version{1, "20261122"}, "") },
				"checks":   func(ctx context.Context) error { _, err := c.Checks(ctx); return err },
				"clusters": func(ctx context.Context) error { _, err := c.Clusters(ctx); return err },
				"settle":   func(ctx context.Context) error { _, err := c.Settle(ctx, 1, 1, 1, VM, Pass); return err },
				"storage":  func(ctx context.Context) error { _, err := c.Storage(ctx); return err },
				"create":   func(ctx context.Context) error { _, err := c.CreateVersion(ctx, 1, "20261122", nil); return err },
				"session":  func(ctx context.Context) error { return c.Authenticate(ctx, password) },
			}
			for call, f := range calls {
				err := f(t.Context())
				if err == nil {
					t.Errorf("%s: no error", call)
					continue
				}
				for _, secret := range secrets {
					if s := fmt.Sprintf("%v %+v %#v %s", err, err, err, c); strings.Contains(s, secret) {
						t.Errorf("%s tells %s: %s", call, secret, s)
					}
				}
			}
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("x", "client", c)
			if s := log.String() + fmt.Sprintf("%v %+v %#v %d", c, c, c, c); strings.Contains(s, token) || strings.Contains(s, password) {
				t.Errorf("the client prints its secrets: %s", s)
			}
		})
	}
}
