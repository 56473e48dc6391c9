// Package browser looks at the embedded Polar's pages as people do: in a browser,
// which runs no scripts, in light and dark, on a desk and on a phone. Pictures of
// what it sees are left in bin/pages.
package browser

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func looks() []look {
	return []look{
		{"light", 1280, 800, false}, {"dark", 1280, 800, false},
		{"light", 390, 844, true}, {"dark", 390, 844, true},
	}
}

func TestPagesInABrowser(t *testing.T) {
	w := newWorld(t, true)
	s := w.tell()
	b := openTab(t)
	dir := pictures(t)
	for _, page := range []struct {
		name, path string
		want       []string // texts
	}{
		{"overview", "/", []string{debian, alpine, fedora, plain, "20261120-01", "testing", "active", "inactive", "created", "passed", "failed", "running",
			"testing period expired", "a product keeps 2 active versions", "2 more", "no check yet",
			"package nginx: installed: apt-get install nginx: exit 100", "lxd rack1: connect: no route to host"}},
		{"product", "/products/" + alpine, []string{alpine, "20261101-01", "20261112-01"}},
		{"failed", fmt.Sprintf("/versions/%d", s.fresh.ID), []string{"Report of the container", "Report of the virtual-machine", "addr tcp://[2001:db8::1]:80: reachable",
			"E: Unable to locate package nginx", "1 of 3", "needs package-install", "console", "rootfs.squashfs", "ipv6, container"}},
		{"active", fmt.Sprintf("/versions/%d", s.good.ID), []string{"active", "activate", "disk.qcow2"}},
		{"hostile", fmt.Sprintf("/versions/%d", s.evil.ID), []string{"&lt;script&gt;document.title = 'owned'&lt;/script&gt;red"}},
		{"missing", "/versions/999", []string{"There is no such page."}},
	} {
		for _, l := range looks() {
			t.Run(page.name+"-"+l.String(), func(t *testing.T) {
				b.t = t
				b.open(w.url+page.path, l)
				if err := os.WriteFile(filepath.Join(dir, page.name+"-"+l.String()+".png"), b.shoot(), 0o644); err != nil {
					t.Fatal(err)
				}
				html := b.html()
				for _, want := range page.want {
					if !strings.Contains(html, want) {
						t.Errorf("there is no %q in %s", want, html)
					}
				}
				inert(t, b, html)
				if width, _ := b.size(); width > float64(l.width) {
					t.Errorf("the page is %v wide, and there is room for %d", width, l.width)
				}
				refused := slices.DeleteFunc(b.logged, func(entry string) bool { return page.name == "missing" && strings.Contains(entry, "404") })
				if len(refused) > 0 {
					t.Errorf("the browser says %s", refused)
				}
			})
		}
	}
}

// inert holds that the page is text, links and tables, whatever it shows.
func inert(t *testing.T, b *tab, html string) {
	t.Helper()
	if n := b.count("script, img, iframe, object, embed, form, [onerror], [onclick], [style]"); n > 0 {
		t.Errorf("%d elements are more than text", n)
	}
	if n := b.count("table th:not([scope])"); n > 0 {
		t.Errorf("%d headers do not say what of", n)
	}
	if title := regexp.MustCompile(`<title>(.*?)</title>`).FindStringSubmatch(html); title == nil || title[1] == "owned" {
		t.Errorf("the title is %q", title)
	}
	if i := strings.IndexFunc(html, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("there is %q", html[max(0, i-20):i+1])
	}
}

func TestABrowserLogsIn(t *testing.T) {
	w := newWorld(t, false)
	b := openTab(t)
	u, err := url.Parse(w.url)
	w.must(err)
	u.User, u.Path = url.UserPassword("whoever", password), "/products/"+debian
	b.open(u.String(), looks()[0])
	u.User, u.Path = nil, "/" // a browser remembers
	b.open(u.String(), looks()[0])
	if html := b.html(); !strings.Contains(html, debian) {
		t.Errorf("it shows %s", html)
	}
}

// pictures makes the folder for them.
func pictures(t *testing.T) string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "bin", "pages")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
