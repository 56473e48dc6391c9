package lxd_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

func TestImageUploadedTwice(t *testing.T) {
	s := lxdtest.Server(t)
	dir := lxdtest.Tiny(t, lxdtest.Unique)
	var texts []string
	var percents []int
	upload := func() string {
		fingerprint, err := s.Upload(t.Context(), dir+"/incus.tar.xz", dir+"/rootfs.squashfs", "container", func(p lxd.Progress) {
			texts = append(texts, p.Text)
			percents = append(percents, p.Percent)
		})
		if err != nil {
			t.Fatal(err)
		}
		return fingerprint
	}
	first := upload()
	forget(t, s, first)
	if len(percents) < 2 || percents[len(percents)-1] != 100 {
		t.Errorf("progress: %v", percents)
	}
	texts = nil
	if again := upload(); again != first || len(texts) != 1 || texts[0] != "already on the server" {
		t.Errorf("again: %s after %s, told %q", again, first, texts)
	}
	if want, err := lxd.Fingerprint(dir+"/incus.tar.xz", dir+"/rootfs.squashfs"); err != nil || first != want {
		t.Errorf("fingerprint %s, want %s, %v", first, want, err)
	}
}

func TestImage(t *testing.T) {
	s := lxdtest.Server(t)
	fingerprint := lxdtest.Image(t)
	image, err := s.Image(t.Context(), fingerprint[:12])
	if err != nil {
		t.Fatal(err)
	}
	if image.Fingerprint != fingerprint || image.Type != "container" || image.Architecture != s.Architectures()[0] ||
		image.Properties["os"] != "Tiny" || image.Size == 0 || image.Cached {
		t.Errorf("got %+v", image)
	}
	for fp, want := range map[string]bool{fingerprint: true, fingerprint[:12]: false, strings.Repeat("0", 64): false} {
		if has, err := s.HasImage(t.Context(), fp); has != want || err != nil {
			t.Errorf("HasImage(%s): %t, %v", fp, has, err)
		}
	}
	for range 2 { // once it is there, once it is gone
		if err := s.DeleteImage(t.Context(), fingerprint); err != nil {
			t.Error(err)
		}
	}
	var missing *lxd.NotFoundError
	if _, err := s.Image(t.Context(), fingerprint); !errors.As(err, &missing) || missing.What != "image" {
		t.Errorf("after the deletion: %v", err)
	}
	if _, err := s.Image(t.Context(), "no/such alias"); !errors.As(err, &missing) {
		t.Errorf("an alias that is not there: %v", err)
	}
}
