package polar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// ErrNoStatus says that the server does not tell how versions stand: Polar 0.2 does
// not.
var ErrNoStatus = errors.New("polar: this server does not tell the states of versions")

// A ProductStatus is how a product's versions stand, the newest first.
type ProductStatus struct {
	Product  string          `json:"product"` // its key
	Versions []VersionStatus `json:"versions"`
}

// A VersionStatus is how a version and its assessments stand.
type VersionStatus struct {
	ID          int64              `json:"id"`
	Serial      string             `json:"serial"`
	State       string             `json:"state"` // created, testing, active, inactive
	Created     time.Time          `json:"created_at"`
	Assessments []AssessmentStatus `json:"assessments"`
	Reports     []ReportStatus     `json:"reports"`
}

// An AssessmentStatus is how a check of a version as an instance type stands.
type AssessmentStatus struct {
	Check        string    `json:"check"`
	InstanceType string    `json:"instance_type"` // container or vm
	State        string    `json:"state"`
	Updated      time.Time `json:"updated_at"`
	Why          string    `json:"why"` // it failed, where that is known
}

// A ReportStatus says what the last report of a version as an instance type came to.
type ReportStatus struct {
	InstanceType string    `json:"instance_type"`
	Verdict      string    `json:"verdict"`
	Posted       time.Time `json:"posted_at"`
}

const maxStatus = 64 << 20 // bytes of an answer about all versions of all products

// Status tells how the versions of the product stand, or those of all products where
// key is empty. The error is ErrNoStatus where the server does not tell that, and a
// *NotFoundError where it has no such product.
func (c *Client) Status(ctx context.Context, key string) ([]ProductStatus, error) {
	if !c.offers(extStatus) {
		return nil, ErrNoStatus
	}
	r := request{
		verb: "get", what: "product", name: key,
		method: http.MethodGet, path: "/publish/status", limit: maxStatus,
	}
	if key == "" {
		r.what, r.name = "status of all", "products"
	} else {
		r.path += "?product=" + url.QueryEscape(key)
	}
	var all []ProductStatus
	r.out = &all
	if err := c.call(ctx, r); err != nil {
		return nil, err
	}
	if key != "" && len(all) != 1 {
		return nil, fmt.Errorf("polar: get product %s: %w", key, errMalformed)
	}
	return all, nil
}

// PutReport has the server keep the JSON report of the version as the instance type,
// container or vm. It does nothing where the server keeps none.
func (c *Client) PutReport(ctx context.Context, versionID int64, instanceType string, document []byte) error {
	if !c.offers(extReport) {
		return nil
	}
	id := strconv.FormatInt(versionID, 10)
	return c.call(ctx, request{
		verb: "put", what: "report", name: "of version " + id + " as " + instanceType,
		method: http.MethodPut,
		path:   "/publish/versions/" + id + "/reports/" + instanceType,
		in:     json.RawMessage(document),
	})
}
