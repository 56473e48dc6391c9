package lxd_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

// An image may be hostile: what is seen of it before its boot is its own, is
// bounded, and waits for nothing.
func TestFilesOfAnInstanceThatWasNotStarted(t *testing.T) {
	if _, err := os.Stat("/usr/bin/tar"); err != nil {
		t.Fatalf("the links of the test's image lead nowhere on this machine: %v", err)
	}
	s := lxdtest.Server(t)
	inst := create(t, s, lxdtest.OddFiles)
	err := inst.Files(t.Context(), func(f *lxd.Files) error {
		readFiles(t, f)
		walkFiles(t, f)
		if err := f.Err(); err != nil {
			t.Errorf("the server is to blame: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := inst.Start(t.Context()); err != nil {
		t.Errorf("it does not start any more: %v", err)
	}
}

func readFiles(t *testing.T, f *lxd.Files) {
	for name, want := range map[string]string{
		"etc/group":        "root:x:0:\n",
		"odd/inside":       "ID=tiny\nNAME=Tiny\nVERSION_ID=1\n",
		"odd/folder/group": "root:x:0:\n",
		"odd/secret":       "nobody may read it\n",
		"odd/owned":        "",
	} {
		if got, err := fs.ReadFile(f, name); string(got) != want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, want := range map[string]error{
		"odd/outside": fs.ErrNotExist, "odd/up": fs.ErrNotExist, "nosuch/x": fs.ErrNotExist,
		"odd/loop": syscall.ELOOP, "etc/group/x": syscall.ENOTDIR, "/etc/group": fs.ErrInvalid, "../etc/group": fs.ErrInvalid,
	} {
		if _, err := fs.ReadFile(f, name); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	for _, name := range []string{"odd/pipe", "etc"} {
		if _, err := f.Open(name); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
	file, err := f.Open("odd/large")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got, want := sha256.New(), sha256.Sum256([]byte(strings.Repeat("0123456789abcde\n", 1<<20)))
	if n, err := io.Copy(got, file); n != 16<<20 || err != nil || hex.EncodeToString(got.Sum(nil)) != hex.EncodeToString(want[:]) {
		t.Errorf("of the large file: %d bytes, %v", n, err)
	}
}

func walkFiles(t *testing.T, f *lxd.Files) {
	modes := map[string]string{}
	err := fs.WalkDir(f, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(name, "odd") {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				modes[name] = info.Mode().String()
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	want := map[string]string{
		"odd": "dtrwxrwxrwx", "odd/inside": "Lrwxrwxrwx", "odd/outside": "Lrwxrwxrwx", "odd/up": "Lrwxrwxrwx", "odd/loop": "Lrwxrwxrwx",
		"odd/folder": "Lrwxrwxrwx", "odd/pipe": "prw-r--r--", "odd/secret": "----------", "odd/setuid": "urwxr-xr-x",
		"odd/owned": "-rw-r--r--", "odd/large": "-rw-r--r--",
	}
	for name, mode := range want {
		if modes[name] != mode {
			t.Errorf("%s: got %q, want %q", name, modes[name], mode)
		}
	}
	if target, err := fs.ReadLink(f, "odd/outside"); target != "/usr/bin/tar" || err != nil {
		t.Errorf("link: %q, %v", target, err)
	}
	info, err := fs.Lstat(f, "odd/owned")
	if err != nil {
		t.Fatal(err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid != 1000 || stat.Gid != 1001 {
		t.Errorf("owners: %+v", info.Sys())
	}
}

func TestFilesEndWithTheirContextThoughTheServerIsSilent(t *testing.T) {
	proxy := lxdtest.NewProxy(t, lxdtest.Remote(t))
	inst := create(t, lxdtest.Connect(t, proxy.Remote))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	within(t, func() {
		err := inst.Files(ctx, func(f *lxd.Files) error {
			proxy.BlackHole(true)
			defer proxy.BlackHole(false)
			time.AfterFunc(100*time.Millisecond, cancel)
			_, err := fs.ReadFile(f, "etc/group")
			if err == nil || f.Err() == nil {
				t.Errorf("got %v, %v", err, f.Err())
			}
			return err
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// That the server is gone must not look like a file that is not there.
func TestFilesOfAServerThatIsGone(t *testing.T) {
	proxy := lxdtest.NewProxy(t, lxdtest.Remote(t))
	inst := create(t, lxdtest.Connect(t, proxy.Remote))
	within(t, func() {
		err := inst.Files(t.Context(), func(f *lxd.Files) error {
			proxy.Cut()
			_, err := fs.Stat(f, "nosuch")
			if err == nil || errors.Is(err, fs.ErrNotExist) || f.Err() == nil {
				t.Errorf("got %v, %v", err, f.Err())
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// LXD deletes an instance once nobody looks at it any more.
func TestFilesOfAnInstanceThatIsDeletedMeanwhile(t *testing.T) {
	inst := create(t, lxdtest.Server(t))
	deleted := make(chan error, 1)
	within(t, func() {
		err := inst.Files(t.Context(), func(f *lxd.Files) error {
			go func() { deleted <- inst.Delete(t.Context()) }()
			for range 100 { // whatever is answered, it comes
				_ = fs.WalkDir(f, "etc", func(string, fs.DirEntry, error) error { return nil })
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if err := <-deleted; err != nil {
			t.Error(err)
		}
	})
	if err := inst.Files(t.Context(), func(*lxd.Files) error { return nil }); err == nil {
		t.Error("an instance that is gone has files")
	}
}

func TestImageOfAnInstance(t *testing.T) {
	s := lxdtest.Server(t)
	inst := create(t, s)
	info, err := inst.Image(t.Context())
	if err != nil || info.Size == 0 || info.Properties["serial"] != "20250101-01" || info.CreatedAt.Unix() != 1735689600 || info.Type != "container" {
		t.Errorf("%+v, %v", info, err)
	}
	if err := s.DeleteImage(t.Context(), info.Fingerprint); err != nil {
		t.Fatal(err)
	}
	left, err := inst.Image(t.Context())
	var gone *lxd.NotFoundError
	if !errors.As(err, &gone) || left.Fingerprint != info.Fingerprint || left.Properties["os"] != "Tiny" {
		t.Errorf("of an image that is gone: %+v, %v", left, err)
	}
}
