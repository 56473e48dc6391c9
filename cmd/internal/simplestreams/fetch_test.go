package simplestreams

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
)

const token = "84fc1cc01008b718208269fa"

// serve returns the URL of a space below which the handlers answer by path.
func serve(t *testing.T, handlers map[string]http.HandlerFunc) string {
	t.Helper()
	mux := http.NewServeMux()
	for path, h := range handlers {
		mux.HandleFunc("GET /spaces/"+token+"/"+path, h)
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL + "/spaces/" + token
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
}

const index = `{"format":"index:1.0","index":{"images":{"datatype":"image-downloads","format":"product:1.0",
	"path":"streams/v1/images.json","products":["debian:bookworm:amd64:default"]}}}`

func TestFetch(t *testing.T) {
	images, err := os.ReadFile("testdata/images.json")
	if err != nil {
		t.Fatal(err)
	}
	uncached := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Cache-Control") != "no-cache" || r.Header.Get("Accept") != "application/json" {
				t.Errorf("%s: asked with %v", r.URL, r.Header)
			}
			h(w, r)
		}
	}
	base := serve(t, map[string]http.HandlerFunc{
		"streams/v1/index.json":  uncached(text(index)),
		"streams/v1/images.json": uncached(text(string(images))),
	})
	for _, url := range []string{base, base + "/"} {
		f, err := Fetch(t.Context(), nil, url)
		if err != nil {
			t.Fatal(err)
		}
		if f.URL != base || len(f.Products) != 6 {
			t.Errorf("got %d products at %s", len(f.Products), f.URL)
		}
	}
}

func TestAFeedMayBeAtTheTopOfAHost(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /streams/v1/index.json", text(index))
	mux.HandleFunc("GET /streams/v1/images.json", text(`{"format":"products:1.0","products":{"a:1:amd64:default":{}}}`))
	srv := httptest.NewServer(mux)
	defer srv.Close()
	for _, url := range []string{srv.URL, srv.URL + "/"} {
		if f, err := Fetch(t.Context(), nil, url); err != nil || len(f.Products) != 1 {
			t.Errorf("Fetch(%q): %v, %v", url, f, err)
		}
	}
}

func TestFetchReadsEveryListOfImages(t *testing.T) {
	const products = `{"format":"products:1.0","products":{%q:{"arch":"amd64"}}}`
	base := serve(t, map[string]http.HandlerFunc{
		"streams/v1/index.json": text(`{"format":"index:1.0","index":{
			"a":{"datatype":"image-downloads","path":"a.json","products":["a:1:amd64:default"]},
			"b":{"datatype":"image-downloads","path":"/b.json","products":["b:1:amd64:default"]},
			"empty":{"datatype":"image-downloads","path":"empty.json","products":[]},
			"ids":{"datatype":"image-ids","path":"ids.json","products":["i"]}}}`),
		"a.json": text(fmt.Sprintf(products, "a:1:amd64:default")),
		"b.json": text(fmt.Sprintf(products, "b:1:amd64:default")),
	})
	f, err := Fetch(t.Context(), nil, base)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a:1:amd64:default", "b:1:amd64:default"} {
		if _, ok := f.Products[key]; !ok {
			t.Errorf("%s is missing", key)
		}
	}
}

func TestFetchAsksAgain(t *testing.T) {
	asked := 0
	base := serve(t, map[string]http.HandlerFunc{"streams/v1/index.json": func(w http.ResponseWriter, _ *http.Request) {
		switch asked++; asked {
		case 1:
			panic(http.ErrAbortHandler) // the connection breaks
		case 2:
			w.WriteHeader(http.StatusBadGateway)
		default:
			_, _ = io.WriteString(w, `{"format":"index:1.0"}`)
		}
	}})
	if _, err := Fetch(t.Context(), nil, base); err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
}

func TestFetchSaysWhatIsWrong(t *testing.T) {
	const images = "streams/v1/images.json"
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	tests := []struct {
		name          string
		index, images http.HandlerFunc
		want          string
	}{
		{"unknown token", status(404), nil, "/spaces/***/streams/v1/index.json: 404 not found"},
		{"not allowed", status(401), nil, "index.json: 401 unauthorized"},
		{"out of order", status(503), nil, "index.json: 503 service unavailable"},
		{"no answer to take", status(204), nil, "index.json: 204 no content"},
		{"a web page", text("\n <!DOCTYPE html><html>"), nil, "index.json: not simplestreams but a web page"},
		{"not JSON", text("hello"), nil, "index.json: not simplestreams: invalid character"},
		{"empty", text(""), nil, "index.json: not simplestreams: unexpected end"},
		{"another format", text(`{"format":"index:2.0"}`), nil, `format "index:2.0", want "index:1.0"`},
		{"an API's answer", text(`{"status":"ok"}`), nil, `format "", want "index:1.0"`},
		{"no images", text(index), status(404), "images.json: 404 not found"},
		{"broken images", text(index), text(`{"format":"products:1.0","products":[]}`), "images.json: not simplestreams: json: cannot unmarshal"},
		{"another format of images", text(index), text(`{"format":"products:9"}`), `format "products:9"`},
		{"more than anyone needs", text(index), func(w http.ResponseWriter, _ *http.Request) {
			for range 33 {
				_, _ = w.Write(bytes.Repeat([]byte(" "), 1<<20))
			}
		}, "images.json: larger than 32 MiB"},
		{"cut off", text(index), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"format":`)
		}, "images.json: unexpected EOF"},
		{"too many lists", text(`{"format":"index:1.0","index":{` + strings.Join(slices.Collect(func(yield func(string) bool) {
			for i := range 17 {
				if !yield(fmt.Sprintf(`"%d":{"datatype":"image-downloads","products":["x"]}`, i)) {
					return
				}
			}
		}), ",") + `}}`), nil, "names 17 documents"},
		{"redirected for ever", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, nil, "stopped after 10 redirects"},
		{"redirected to nonsense", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://[::1/spaces/"+token+"/x")
			w.WriteHeader(302)
		}, nil, "Location"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			handlers := map[string]http.HandlerFunc{"streams/v1/index.json": tt.index}
			if tt.images != nil {
				handlers[images] = tt.images
			}
			f, err := Fetch(t.Context(), nil, serve(t, handlers))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, %v, want an error with %q", f, err, tt.want)
			}
			if strings.Contains(err.Error(), token) {
				t.Errorf("the error tells the token: %v", err)
			}
		})
	}
}

func TestFetchRefusesWhatIsNoFeedURL(t *testing.T) {
	for _, url := range []string{"", "images.example.com", "ftp://images.example.com", "http://", "http://u:pw@[::1/spaces/" + token,
		"https://images.example.com/spaces/" + token + "?x=1", "https://images.example.com/#x"} {
		_, err := Fetch(t.Context(), nil, url)
		if err == nil || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "pw") {
			t.Errorf("Fetch(%q): %v", url, err)
		}
	}
}

func TestFetchHidesTheTokenOfAnUnreachableServer(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	_, err := Fetch(t.Context(), nil, srv.URL+"/spaces/"+token)
	if err == nil || strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
}

func TestFetchStopsWithItsContext(t *testing.T) {
	entered := make(chan struct{})
	base := serve(t, map[string]http.HandlerFunc{"streams/v1/index.json": func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	if _, err := Fetch(ctx, nil, base); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestRedirectsDoNotTellTheToken(t *testing.T) {
	cdn := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ref := r.Header.Get("Referer"); ref != "" {
			t.Errorf("the next host was told %s", ref)
		}
		_, _ = io.WriteString(w, `{"format":"index:1.0"}`)
	}))
	defer cdn.Close()
	polar := httptest.NewTLSServer(http.RedirectHandler(cdn.URL+"/index.json", http.StatusFound))
	defer polar.Close()
	if _, err := Fetch(t.Context(), polar.Client(), polar.URL+"/spaces/"+token); err != nil {
		t.Error(err)
	}
}

func TestRedirectsKeepTLS(t *testing.T) {
	plain := httptest.NewServer(text(`{"format":"index:1.0"}`))
	defer plain.Close()
	polar := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer polar.Close()
	_, err := Fetch(t.Context(), polar.Client(), polar.URL)
	if err == nil || !strings.Contains(err.Error(), "redirected from https to http") {
		t.Errorf("got %v", err)
	}
}

func TestAServerDoesNotSayHowLongToWait(t *testing.T) {
	c := repeating(nil)
	busy := &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"86400"}}}
	if wait := c.Backoff(c.RetryWaitMin, c.RetryWaitMax, 0, busy); wait > maxRetryWait {
		t.Errorf("waits %v", wait)
	}
}

// What a server answers is told of it in a line that a terminal can show.
func TestErrorsAreShortAndPrint(t *testing.T) {
	path := strings.Repeat("x", 1<<20)
	base := serve(t, map[string]http.HandlerFunc{
		"streams/v1/index.json": text(`{"format":"index:1.0","index":{"images":{"datatype":"image-downloads",
			"path":"images/\u001b[31m` + path + `","products":["a:1:amd64:default"]}}}`),
	})
	number := serve(t, map[string]http.HandlerFunc{
		"streams/v1/index.json":  text(index),
		"streams/v1/images.json": text(`{"products":{"a":{"versions":{"b":{"items":{"c":{"size":` + strings.Repeat("1", 1<<20) + `}}}}}}}`),
	})
	for name, url := range map[string]string{"a path": base, "a number": number} {
		t.Run(name, func(t *testing.T) {
			_, err := Fetch(t.Context(), nil, url)
			if err == nil || len(err.Error()) > 1000 || strings.ContainsRune(err.Error(), '\x1b') || strings.Contains(err.Error(), token) {
				t.Errorf("got %.2000q", fmt.Sprint(err))
			}
		})
	}
}

func TestNamesThatNobodyCanMeanAreLeftOut(t *testing.T) {
	base := serve(t, map[string]http.HandlerFunc{
		"streams/v1/index.json": text(index),
		"streams/v1/images.json": text(`{"format":"products:1.0","products":{
			"debian:bookworm:amd64:default":{"aliases":"debian/bookworm"},
			"debian:bookworm:amd64:\u001b[2J":{"aliases":"debian/bookworm"},
			"debian:sid:amd64:default":{"aliases":"debian/sid\u001b[2J,\n debian/sid"},
			"` + strings.Repeat("x", 500) + `":{}}}`),
	})
	f, err := Fetch(t.Context(), nil, base)
	if err != nil {
		t.Fatal(err)
	}
	if keys := slices.Sorted(maps.Keys(f.Products)); !slices.Equal(keys, []string{"debian:bookworm:amd64:default", "debian:sid:amd64:default"}) {
		t.Errorf("products %.500q", keys)
	}
	if names := f.Products["debian:sid:amd64:default"].aliases(); !slices.Equal(names, []string{"debian/sid"}) {
		t.Errorf("aliases %q", names)
	}
}

func TestHideToken(t *testing.T) {
	for in, want := range map[string]string{
		"https://images.example.com/spaces/abc/items/1":  "https://images.example.com/spaces/***/items/1",
		"https://images.example.com/spaces/abc":          "https://images.example.com/spaces/***",
		"https://images.example.com/spaces//abc?x=1":     "https://images.example.com/spaces//***?x=1",
		"https://user:pw@images.example.com/a":           "https://***@images.example.com/a",
		`Get "http://images.example.com/spaces/abc": no`: `Get "http://images.example.com/spaces/***": no`,
		"https://images.example.com/streams":             "https://images.example.com/streams",
	} {
		if got := HideToken(in); got != want {
			t.Errorf("HideToken(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestAFeedPrintsWithoutItsToken(t *testing.T) {
	f := &Feed{URL: "https://images.example.com/spaces/" + token}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "feed", f)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "feed", f)
	out := fmt.Sprintf("%v %+v %#v %s %q %d %v %+v", f, f, f, f, f, f, *f, *f) + log.String()
	if strings.Contains(out, token) || !strings.Contains(out, "images.example.com") {
		t.Error(out)
	}
}
