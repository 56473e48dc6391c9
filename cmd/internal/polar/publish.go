package polar

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// A Product is one operating system's release for an architecture, in a variant.
type Product struct {
	ID           int64             `json:"id"`
	Key          string            `json:"key"` // os:release:arch:variant
	Requirements map[string]string `json:"requirements"`
}

// A Version is one build of a product.
type Version struct {
	ID     int64  `json:"id"`
	Serial string `json:"serial"`
}

// The events of versions.
const (
	Test       = "test"       // to testing
	Activate   = "activate"   // from testing to active
	Deactivate = "deactivate" // from testing or active to inactive
)

// Active is the state of versions in the active channel, to servers that tell states.
const Active = "active"

// Product returns the product of the key. The error is a *NotFoundError where
// Polar has none.
func (c *Client) Product(ctx context.Context, key string) (Product, error) {
	var p Product
	err := c.call(ctx, request{
		verb: "get", what: "product", name: key,
		method: http.MethodGet,
		path:   "/publish/products/" + base64.URLEncoding.EncodeToString([]byte(key)),
		out:    &p,
	})
	if err == nil && (p.ID <= 0 || !strings.EqualFold(p.Key, key)) {
		err = fmt.Errorf("polar: get product %s: %w", key, errMalformed)
	}
	if err != nil {
		return Product{}, err
	}
	return p, nil
}

// Version returns the product's version of the serial. The error is a
// *NotFoundError where Polar has none.
func (c *Client) Version(ctx context.Context, productID int64, serial string) (Version, error) {
	var v Version
	err := c.call(ctx, request{
		verb: "get", what: "version", name: serial,
		method: http.MethodGet,
		path:   fmt.Sprintf("/publish/products/%d/versions/%s", productID, url.PathEscape(serial)),
		out:    &v,
	})
	if err == nil && (v.ID <= 0 || !strings.EqualFold(v.Serial, serial)) {
		err = fmt.Errorf("polar: get version %s: %w", serial, errMalformed)
	}
	if err != nil {
		return Version{}, err
	}
	return v, nil
}

// A Storage is the bucket that versions' files are uploaded to, by S3's protocol.
type Storage struct {
	AccessKeyID     Secret `json:"access_key_id"`
	SecretAccessKey Secret `json:"secret_access_key"`
	Bucket          string `json:"bucket"`
	Region          string `json:"region"`
	Endpoint        string `json:"endpoint"` // a host, which is spoken to by https, or a URL
}

// Storage returns where to upload files.
func (c *Client) Storage(ctx context.Context) (Storage, error) {
	var s Storage
	err := c.call(ctx, request{
		verb: "get", what: "storage", name: "for uploads",
		method: http.MethodGet, path: "/publish/storage", out: &s,
	})
	if err == nil && (s.Endpoint == "" || s.Bucket == "" || s.AccessKeyID == "" || s.SecretAccessKey == "") {
		err = fmt.Errorf("polar: get storage: %w", errMalformed)
	}
	if err != nil {
		return Storage{}, err
	}
	return s, nil
}

// VersionEvent changes the version's state. The comment, which may be empty, says
// why where the server keeps that. The error is a *RefusedError where the state
// does not allow the change. After an *UnreachableError, and after a refusal with
// status 500, the change may have been made.
func (c *Client) VersionEvent(ctx context.Context, id int64, name, comment string) error {
	return c.event(ctx, "version", "/publish/versions/", id, name, comment)
}

// event posts an event, which is taken where Polar gives it back: a gateway's
// login page is a 200, too.
func (c *Client) event(ctx context.Context, what, path string, id int64, name, comment string) error {
	type event struct {
		Name    string `json:"name"`
		Comment string `json:"comment,omitempty"`
		By      string `json:"by,omitempty"`
	}
	out := event{Name: name}
	if c.offers(extComment) {
		out.Comment, out.By = comment, c.opts.Actor
	}
	number := strconv.FormatInt(id, 10)
	var taken event
	err := c.call(ctx, request{
		verb: name, what: what, name: number, event: true, key: c.newKey(),
		method: http.MethodPost,
		path:   path + number + "/events",
		in:     map[string]event{"event": out},
		out:    &taken,
	})
	if err == nil && taken.Name != name {
		err = fmt.Errorf("polar: %s %s %s: %w", name, what, number, errMalformed)
	}
	return err
}
