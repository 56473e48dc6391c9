package checks

import (
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// closedPort returns an address on which nothing listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestAddrReachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	open, closed := l.Addr().String(), closedPort(t)
	for _, tt := range []struct {
		id, local, want string
		verdict         Verdict
		message         string
	}{
		{"tcp://" + open, "", `true`, Pass, ""},
		{open, "", `true`, Pass, ""},
		{"tcp4://" + open, "", `true`, Pass, ""},
		{"udp://" + closed, "", `true`, Pass, ""}, // only a route
		{"tcp://" + open, "127.0.0.1", `true`, Pass, ""},
		{"tcp://" + open, "192.0.2.1", `true`, Fail, "the guest has no address 192.0.2.1"},
		{"tcp://" + closed, "192.0.2.1", `false`, Fail, "the guest has no address 192.0.2.1"},
		{"tcp://" + closed, "", `true`, Fail, "connection refused"},
		{"tcp://" + closed, "", `false`, Pass, ""},
		{"tcp6://" + open, "", `true`, Fail, "no suitable address"},
		{"tcp://127.0.0.1", "", `false`, Error, "want an address such as"},
		{"unix:///run/x", "", `false`, Error, "want tcp or udp"},
		{"tcp://" + open, "localhost", `true`, Error, "want an IP address"},
	} {
		t.Run(tt.id+" "+tt.local+" "+tt.want, func(t *testing.T) {
			a := &Addr{LocalAddress: tt.local, Timeout: Duration(10 * time.Second), Reachable: want(t, Bool, tt.want)}
			a.Key = tt.id
			checkOne(t, a.Evaluate(t.Context(), new(System)), "reachable", tt.verdict, tt.message)
		})
	}
}

func webServer() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Two"] = []string{"b", "a"}
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		fmt.Fprintf(w, "%s %s\nhost %s\nagent %s\nh %s\nauth %s:%s\nbody %s\n", r.Method, r.URL, r.Host,
			r.UserAgent(), r.Header["H"], user, password, body)
	})
	mux.Handle("/moved", http.RedirectHandler("/ok", http.StatusFound))
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "short")
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, maxBody+1))
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	return mux
}

func TestHTTPProperties(t *testing.T) {
	srv := httptest.NewServer(webServer())
	defer srv.Close()
	closed := "http://" + closedPort(t)
	for _, tt := range []struct {
		name           string
		set            HTTP
		property, want string
		verdict        Verdict
		message        string
	}{
		{"status", HTTP{URL: srv.URL + "/ok"}, "status", `200`, Pass, ""},
		{"a wrong status says its name", HTTP{URL: srv.URL + "/no"}, "status", `200`, Fail, "Not Found"},
		{"a redirect is followed", HTTP{URL: srv.URL + "/moved"}, "status", `200`, Pass, ""},
		{"or not", HTTP{URL: srv.URL + "/moved", NoFollowRedirects: true}, "status", `302`, Pass, ""},
		{"headers are lines", HTTP{URL: srv.URL + "/ok"}, "headers", `["/^X-Two: a$/", "X-Two: b", "!Server"]`, Pass, ""},
		{"body", HTTP{URL: srv.URL + "/ok"}, "body", `["GET /ok", "agent icepak", "!nope"]`, Pass, ""},
		{"request", HTTP{URL: srv.URL + "/ok", Method: "POST", RequestBody: "sent", Username: "u", Password: "p",
			RequestHeaders: []string{"Host: other.example.com", "user-agent: mine", "h: 1", "H:2"}}, "body",
			`["POST /ok", "host other.example.com", "agent mine", "h [1 2]", "auth u:p", "body sent"]`, Pass, ""},
		{"a malformed header", HTTP{URL: srv.URL + "/ok", RequestHeaders: []string{"nocolon"}}, "status", `200`, Error, `got "nocolon"`},
		{"no server", HTTP{URL: closed}, "status", `{"not": 200}`, Fail, "connection refused"},
		{"no server for a body", HTTP{URL: closed}, "body", `["!x"]`, Fail, "connection refused"},
		{"a body that ends early", HTTP{URL: srv.URL + "/cut"}, "body", `["!x"]`, Fail, "unexpected EOF"},
		{"a body that is too big", HTTP{URL: srv.URL + "/big"}, "body", `["!x"]`, Error, "bigger than 10 MiB"},
		{"no answer in time", HTTP{URL: srv.URL + "/slow", Timeout: Duration(200 * time.Millisecond)}, "status", `200`, Fail, "timed out after 200ms"},
		{"a proxy that is not there", HTTP{URL: "http://www.example.com/", Proxy: closed}, "status", `200`, Fail, "connection refused"},
		{"no URL", HTTP{URL: "127.0.0.1"}, "status", `{"not": 1}`, Error, "want a URL such as"},
		{"a CA that is not there", HTTP{URL: srv.URL, CAFile: "/ca.pem"}, "status", `200`, Fail, "ca-file: open ca.pem"},
		{"half a certificate", HTTP{URL: srv.URL, CertFile: "/c.pem"}, "status", `200`, Error, "go together"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := tt.set
			setProperty(t, &h, tt.property, tt.want)
			sys := &System{FS: fstest.MapFS{}}
			checkOne(t, h.Evaluate(t.Context(), sys), tt.property, tt.verdict, tt.message)
		})
	}
}

func TestHTTPVerifiesTLS(t *testing.T) {
	srv := httptest.NewTLSServer(webServer())
	defer srv.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	sys := &System{FS: fstest.MapFS{"etc/ca.pem": {Data: ca}, "etc/bad.pem": {Data: []byte("x")}}}
	for _, tt := range []struct {
		name    string
		set     HTTP
		verdict Verdict
		message string
	}{
		{"an unknown certificate", HTTP{}, Fail, "certificate"},
		{"its own CA", HTTP{CAFile: "/etc/ca.pem"}, Pass, ""},
		{"allowed", HTTP{AllowInsecure: true}, Pass, ""},
		{"no CA", HTTP{CAFile: "/etc/bad.pem"}, Fail, "no certificate in /etc/bad.pem"},
		{"no key", HTTP{CertFile: "/etc/ca.pem", KeyFile: "/etc/bad.pem"}, Fail, "cert-file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := tt.set
			h.URL, h.Status = srv.URL+"/ok", want(t, Int, `200`)
			checkOne(t, h.Evaluate(t.Context(), sys), "status", tt.verdict, tt.message)
		})
	}
}

func TestHTTPTrustsWhatTheGuestHasComeToTrust(t *testing.T) {
	srv := httptest.NewTLSServer(webServer())
	defer srv.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	root := fstest.MapFS{}
	h := &HTTP{URL: srv.URL + "/ok", Status: want(t, Int, `200`)}
	checkOne(t, h.Evaluate(t.Context(), &System{FS: root}), "status", Fail, "certificate")
	root["etc/ssl/certs/ca-certificates.crt"] = &fstest.MapFile{Data: ca}
	checkOne(t, h.Evaluate(t.Context(), &System{FS: root}), "status", Pass, "")
}

func TestHTTPErrorsHideThePassword(t *testing.T) {
	for _, target := range []string{"http://u:secret@" + closedPort(t) + "/", "http://u:secret@[::1/", "http://u:secret@a b/"} {
		h := &HTTP{URL: target, Status: want(t, Int, `200`)}
		list := h.Evaluate(t.Context(), &System{FS: fstest.MapFS{}})
		if list[0].Verdict == Pass || strings.Contains(fmt.Sprintf("%+v", list), "secret") {
			t.Errorf("%s: %+v", target, list)
		}
	}
}

func TestHTTPSkipsTheRestWhenTheStatusIsWrong(t *testing.T) {
	srv := httptest.NewServer(webServer())
	defer srv.Close()
	list := evaluate(t, &System{FS: fstest.MapFS{}}, "http", srv.URL+"/no", map[string]string{"status": `200`, "headers": `["!x"]`, "body": `["!x"]`})
	if len(list) != 3 || list[0].Verdict != Fail || list[1].Verdict != Skip || list[2].Verdict != Skip {
		t.Errorf("got %+v", list)
	}
}
