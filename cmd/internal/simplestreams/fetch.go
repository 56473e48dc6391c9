package simplestreams

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	fetchTimeout = 2 * time.Minute
	maxDocument  = 32 << 20 // bytes of index.json and of each document of products
	maxDocuments = 16       // documents of products that an index may name
	maxRedirects = 10
	maxRetryWait = 20 * time.Second
	maxName      = 200 // bytes of a product's key or alias
)

var errNoTLS = errors.New("redirected from https to http")

// A Feed is what an image server offers: its products by key.
// URL is where it was read from, without a slash at its end. It may hold a
// space's token, so a Feed prints without it.
type Feed struct {
	URL      string
	Products map[string]Product
}

// Format writes the feed's URL, its token hidden, whatever the verb.
func (f Feed) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, HideToken(f.URL)) }

// LogValue is what a log gets of the feed.
func (f Feed) LogValue() slog.Value { return slog.StringValue(HideToken(f.URL)) }

// ErrURL says that a feed was named by what is no URL of the web.
var ErrURL = errors.New("not an http or https URL")

// Fetch reads the feed at the base URL, as an LXD server with an empty cache
// would. Documents of more than 32 MiB are refused. Errors name the URL with
// its token hidden. A nil client is http.DefaultClient.
func Fetch(ctx context.Context, client *http.Client, base string) (*Feed, error) {
	f := &Feed{URL: strings.TrimRight(base, "/"), Products: map[string]Product{}}
	u, err := url.Parse(f.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("image feed %s: %w", HideToken(base), ErrURL)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("image feed %s: a feed's URL has no query and no fragment", HideToken(base))
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()

	var index Index
	if err := f.document(ctx, client, "streams/v1/index.json", &index); err != nil {
		return nil, err
	}
	if index.Format != IndexFormat {
		return nil, fmt.Errorf("image feed %s: index.json is not simplestreams: format %.40q, want %q", HideToken(f.URL), index.Format, IndexFormat)
	}
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(index.Index)) {
		// LXD does not look further where an entry lists no products.
		if e := index.Index[name]; e.DataType == Images && len(e.Products) > 0 {
			paths = append(paths, e.Path)
		}
	}
	if len(paths) > maxDocuments {
		return nil, fmt.Errorf("image feed %s: index.json names %d documents, more than %d", HideToken(f.URL), len(paths), maxDocuments)
	}
	for _, path := range paths {
		var products Products
		if err := f.document(ctx, client, path, &products); err != nil {
			return nil, err
		}
		if products.Format != ProductsFormat {
			return nil, fmt.Errorf("image feed %s: %.100q is not simplestreams: format %.40q, want %q", HideToken(f.URL), path, products.Format, ProductsFormat)
		}
		for key, p := range products.Products {
			if nameable(key) {
				f.Products[key] = p
			}
		}
	}
	return f, nil
}

// nameable tells whether somebody can have meant a product's key or alias: errors
// that list such names are not to rewrite a terminal.
func nameable(name string) bool {
	return len(name) <= maxName && !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

// document reads the JSON document at the path.
func (f *Feed) document(ctx context.Context, client *http.Client, path string, v any) error {
	resp, err := f.get(ctx, client, path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	where := shown(resp.Request.URL)
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return fmt.Errorf("image feed %s: %w", where, hide(err))
	}
	if err := parse(data, v); err != nil {
		return fmt.Errorf("image feed %s: %w", where, err)
	}
	return nil
}

// parse decodes a JSON document of a feed.
func parse(data []byte, v any) error {
	switch {
	case len(data) > maxDocument:
		return fmt.Errorf("larger than %d MiB", maxDocument>>20)
	case bytes.HasPrefix(bytes.TrimSpace(data), []byte("<")):
		return errors.New("not simplestreams but a web page")
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("not simplestreams: %.300s", err) // a number in it is quoted in full
	}
	return nil
}

// get asks for the path below the feed's URL. The caller closes the body.
func (f *Feed) get(ctx context.Context, client *http.Client, path string) (*http.Response, error) {
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, f.URL+"/", nil) // the slash, or a path joined to none begins with none
	if err != nil {
		return nil, fmt.Errorf("image feed %s: not a URL", HideToken(f.URL))
	}
	req.URL = req.URL.JoinPath(path)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Cache-Control", "no-cache")

	resp, err := repeating(client).Do(req)
	if err != nil {
		if resp != nil { // the context ended while it was looked at
			resp.Body.Close()
		}
		// The outer error repeats the URL, token and all.
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err
		}
		return nil, fmt.Errorf("image feed %s: %w", shown(req.URL), hide(err))
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("image feed %s: %d %s", shown(req.URL), resp.StatusCode, strings.ToLower(http.StatusText(resp.StatusCode)))
	}
	return resp, nil
}

// repeating returns a client that asks again where no answer comes or a server
// says that it is out of order.
func repeating(client *http.Client) *retryablehttp.Client {
	c := *cmp.Or(client, http.DefaultClient)
	c.CheckRedirect = discreet
	again := retryablehttp.NewClient()
	again.HTTPClient = &c
	again.Logger = nil
	again.RetryMax = 3
	again.RetryWaitMin = 200 * time.Millisecond
	again.RetryWaitMax = maxRetryWait
	again.CheckRetry = func(ctx context.Context, resp *http.Response, err error) (bool, error) {
		if errors.Is(err, errNoTLS) {
			return false, err
		}
		return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
	}
	again.ErrorHandler = retryablehttp.PassthroughErrorHandler
	again.Backoff = func(least, most time.Duration, attempt int, resp *http.Response) time.Duration {
		// A server may ask for any Retry-After.
		return min(retryablehttp.DefaultBackoff(least, most, attempt, resp), most)
	}
	return again
}

// shown is a URL for people. Its path is the feed's, and may be of any length.
func shown(u *url.URL) string { return fmt.Sprintf("%.300s", HideToken(u.String())) }

// discreet follows redirects without telling the next host where it was sent
// from: that URL holds the space's token. What began with TLS stays with it.
func discreet(req *http.Request, via []*http.Request) error {
	req.Header.Del("Referer")
	if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return errNoTLS
	}
	if len(via) >= maxRedirects {
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	return nil
}

// hide returns err, or its text where that must not be shown as it is.
func hide(err error) error {
	if text := HideToken(err.Error()); text != err.Error() {
		return errors.New(text)
	}
	return err
}

// HideToken replaces the space's token and the credentials in a URL, or in a
// text that holds URLs, by ***.
func HideToken(url string) string {
	url = regexp.MustCompile(`(/spaces/+)[^/?#\s"'<>]+`).ReplaceAllString(url, "${1}***")
	return regexp.MustCompile(`(://)[^/?#\s"'<>]*@`).ReplaceAllString(url, "${1}***@")
}
