package imagetest

import "testing"

func TestGoodImagesPass(t *testing.T) {
	icepak := program(t)
	for _, name := range baseNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBase(t, name)
			got := b.test(t, icepak, b.dir)
			if got.code != 0 {
				t.Errorf("exit code %d: %s", got.code, got.text)
			}
		})
	}
}
