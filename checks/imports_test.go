package checks_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestImportsStaySmall holds what the package may import: it goes into the
// probe, which is pushed into every guest.
func TestImportsStaySmall(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{
		"github.com/upmaru/icepak/checks",
		"github.com/Masterminds/semver/v3", "golang.org/x/sys/unix",
		"github.com/antchfx/xpath",
		"github.com/tidwall/gjson", "github.com/tidwall/match", "github.com/tidwall/pretty",
	}
	for _, path := range strings.Fields(string(out)) {
		if !slices.Contains(allowed, path) {
			t.Errorf("the package imports %s", path)
		}
	}
}
