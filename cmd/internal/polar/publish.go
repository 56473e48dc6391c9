package polar

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
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

// A NewVersion is a version to be made, with its files.
type NewVersion struct {
	Serial string `json:"serial"`
	Items  []Item `json:"items"`
}

// An Item is one file of a version. Hash is its SHA-256 in hexadecimal, Size is
// in bytes, and Path is its key in the storage.
type Item struct {
	Name           string         `json:"name"`
	FileType       string         `json:"file_type"`
	Hash           string         `json:"hash"`
	Size           int64          `json:"size"`
	Path           string         `json:"path"`
	IsMetadata     bool           `json:"is_metadata"`
	CombinedHashes []CombinedHash `json:"combined_hashes"`
}

// A CombinedHash is that of a metadata item followed by a root item.
type CombinedHash struct {
	Name string `json:"name"`
	Hash string `json:"hash"`
}

// Storage is where files of versions are put: a bucket of an S3 server.
type Storage struct {
	AccessKeyID     Secret `json:"access_key_id"`
	SecretAccessKey Secret `json:"secret_access_key"`
	Bucket          string `json:"bucket"`
	Region          string `json:"region"`
	Endpoint        string `json:"endpoint"` // a host without a scheme
}

// The events of versions.
const (
	Test       = "test"       // to testing
	Activate   = "activate"   // from testing to active
	Deactivate = "deactivate" // from testing or active to inactive
)

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
	return c.version(ctx, serial, request{
		verb: "get", what: "version", name: serial,
		method: http.MethodGet,
		path:   fmt.Sprintf("/publish/products/%d/versions/%s", productID, url.PathEscape(serial)),
	})
}

// CreateVersion makes a version of the product. The error is a *RefusedError
// where Polar has the serial, or any file with the same hash, already; and the
// version may have been made where no answer came.
func (c *Client) CreateVersion(ctx context.Context, productID int64, v NewVersion) (Version, error) {
	v.Items = slices.Clone(v.Items)
	for i, item := range v.Items {
		if item.CombinedHashes == nil {
			v.Items[i].CombinedHashes = []CombinedHash{}
		}
	}
	return c.version(ctx, v.Serial, request{
		verb: "create", what: "version", name: v.Serial, event: true,
		method: http.MethodPost,
		path:   fmt.Sprintf("/publish/products/%d/versions", productID),
		in:     map[string]NewVersion{"version": v},
	})
}

func (c *Client) version(ctx context.Context, serial string, r request) (Version, error) {
	var v Version
	r.out = &v
	err := c.call(ctx, r)
	if err == nil && (v.ID <= 0 || !strings.EqualFold(v.Serial, serial)) {
		err = fmt.Errorf("polar: %s version %s: %w", r.verb, serial, errMalformed)
	}
	if err != nil {
		return Version{}, err
	}
	return v, nil
}

// VersionEvent changes the version's state. The error is a *RefusedError where
// its state does not allow that. After an *UnreachableError, and after a
// refusal with status 500, the change may have been made.
func (c *Client) VersionEvent(ctx context.Context, id int64, name string) error {
	return c.event(ctx, "version", "/publish/versions/", id, name)
}

func (c *Client) event(ctx context.Context, what, path string, id int64, name string) error {
	type event struct {
		Name string `json:"name"`
	}
	return c.call(ctx, request{
		verb: name, what: what, name: strconv.FormatInt(id, 10), event: true,
		method: http.MethodPost,
		path:   path + strconv.FormatInt(id, 10) + "/events",
		in:     map[string]event{"event": {name}},
	})
}

// Storage returns where files are put.
func (c *Client) Storage(ctx context.Context) (Storage, error) {
	var s Storage
	err := c.call(ctx, request{
		verb: "get", what: "storage", name: "settings",
		method: http.MethodGet, path: "/publish/storage", out: &s,
	})
	return s, err
}
