package simplestreams

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
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

	"github.com/hashicorp/go-retryablehttp"
)

const (
	fetchTimeout = 2 * time.Minute
	maxDocument  = 32 << 20 // bytes of index.json and of each document of products
	maxDocuments = 16       // documents of products that an index may name
	maxRedirects = 10
)

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

// Fetch reads the feed at the base URL, as an LXD server with an empty cache
// would. Documents of more than 32 MiB are refused. Errors name the URL with
// its token hidden. A nil client is http.DefaultClient.
func Fetch(ctx context.Context, client *http.Client, base string) (*Feed, error) {
	f := &Feed{URL: strings.TrimRight(base, "/"), Products: map[string]Product{}}
	u, err := url.Parse(f.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("image feed %s: not an http or https URL", HideToken(base))
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
		maps.Copy(f.Products, products.Products)
	}
	return f, nil
}

// document reads the JSON document at the path.
func (f *Feed) document(ctx context.Context, client *http.Client, path string, v any) error {
	resp, err := f.get(ctx, client, path, "application/json")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	where := HideToken(resp.Request.URL.String())
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
		return fmt.Errorf("not simplestreams: %w", err)
	}
	return nil
}

// Download writes the item's file to w, and fails where size or hash are not
// those that the feed tells. What was written before that is not to be used.
func (f *Feed) Download(ctx context.Context, client *http.Client, item Item, w io.Writer) error {
	resp, err := f.get(ctx, client, item.Path, "*/*")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(resp.Body, item.Size+1))
	switch {
	case err != nil:
		return fmt.Errorf("download %s: %w", f.shown(item.Path), hide(err))
	case n > item.Size:
		return fmt.Errorf("download %s: larger than the %d bytes that the feed tells", f.shown(item.Path), item.Size)
	case n < item.Size:
		return fmt.Errorf("download %s: %d bytes, but the feed tells %d", f.shown(item.Path), n, item.Size)
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != strings.ToLower(item.SHA256) {
		return fmt.Errorf("download %s: sha256 is %s, but the feed tells %.64s", f.shown(item.Path), sum, item.SHA256)
	}
	return nil
}

// get asks for the path below the feed's URL. The caller closes the body.
func (f *Feed) get(ctx context.Context, client *http.Client, path, accept string) (*http.Response, error) {
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("image feed %s: not a URL", HideToken(f.URL))
	}
	req.URL = req.URL.JoinPath(path)
	req.Header.Set("Accept", accept)
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
		return nil, fmt.Errorf("image feed %s: %w", f.shown(path), hide(err))
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("image feed %s: %d %s", f.shown(path), resp.StatusCode, strings.ToLower(http.StatusText(resp.StatusCode)))
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
	again.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return again
}

// shown is the path's URL for people.
func (f *Feed) shown(path string) string {
	return HideToken(f.URL + "/" + strings.TrimLeft(path, "/"))
}

// discreet follows redirects without telling the next host where it was sent
// from: that URL holds the space's token.
func discreet(req *http.Request, via []*http.Request) error {
	req.Header.Del("Referer")
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
