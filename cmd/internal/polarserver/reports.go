package polarserver

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

// maxReport bounds a JSON report in bytes.
const maxReport = 4 << 20

// putReport keeps the JSON report of a version as an instance type. Whoever has the
// password may say of a version what they like, but not of another one.
func (s *server) putReport(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	body, err := readJSON(w, r, maxReport)
	if err != nil {
		return err
	}
	v, err := s.store.VersionStatus(r.Context(), id)
	if err != nil {
		return err
	}
	kept := polarstore.Report{VersionID: id, InstanceType: r.PathValue("type"), Failures: map[string]string{}, Document: body}
	image, err := reportedImage(body, v.Version, kept.InstanceType)
	if err != nil {
		return polarstore.InvalidError{"report": "is invalid: " + report.Line(err.Error())}
	}
	kept.Verdict, kept.Reason = string(image.Verdict), report.Line(image.Reason)
	for _, c := range image.Checks {
		if c.Verdict == checks.Fail {
			kept.Failures[c.Name] = report.Why(c)
		}
	}
	if err := s.store.PutReport(r.Context(), kept); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// reportedImage returns the only image of a report, which must be of the version.
func reportedImage(doc []byte, v polarstore.Version, instanceType string) (report.ImageResult, error) {
	run, err := report.ParseJSON(doc)
	if err != nil {
		return report.ImageResult{}, err
	}
	if len(run.Images) != 1 {
		return report.ImageResult{}, fmt.Errorf("it has %d images, want 1", len(run.Images))
	}
	image := run.Images[0]
	if !strings.EqualFold(image.Product, v.Product) || !strings.EqualFold(image.Serial, v.Serial) {
		return image, errors.New("it is of another version")
	}
	if image.Type != lxdType(instanceType) {
		return image, errors.New("it is of another instance type")
	}
	return image, nil
}

// lxdType is LXD's name for an instance type.
func lxdType(instanceType string) string {
	if instanceType == "vm" {
		return simplestreams.VirtualMachine
	}
	return instanceType
}
