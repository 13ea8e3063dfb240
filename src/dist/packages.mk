# The source archive and Debian's packages, both of the last commit; part of the Makefile above.

DEB_OPTIONS  := $(or $(DEB_BUILD_OPTIONS),nocheck)
DEB_PACKAGES := build-essential debhelper debootstrap dpkg-dev git lintian systemd systemd-container
ARCHIVE := build/jobd-$(VERSION).tar.gz
DEB     := build/deb

dist: $(ARCHIVE)  ## a source archive of the last commit, the same bytes each time; SOURCE_DATE_EPOCH

$(ARCHIVE): FORCE
	$(Q)sh src/dist/archive.sh jobd-$(VERSION) $@

check-dist:  ## the archive has the same bytes wherever it is made, and makes itself again
	$(Q)MAKE='$(MAKE)' sh tests/check/dist.sh $(notdir $(ARCHIVE))

deps-deb:  ## install what `make deb` and `make check-deb` need (Debian, as root)
	$(Q)dpkg -s $(BUILD_PACKAGES) $(DEB_PACKAGES) >/dev/null 2>&1 || \
	  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
	    $(BUILD_PACKAGES) $(DEB_PACKAGES); }

# Debian's tools look into the environment: what this make was told is not for them.
deb: $(ARCHIVE)  ## build Debian's packages jobd, libjobd0 and libjobd-dev in build/deb; DEB_BUILD_OPTIONS
	$(Q)rm -rf $(DEB) && mkdir -p $(DEB) && cp $(ARCHIVE) $(DEB)/jobd_$(VERSION).orig.tar.gz && \
	  tar -xf $(ARCHIVE) -C $(DEB) && cp -r $(DEB)/jobd-$(VERSION)/src/dist/debian $(DEB)/jobd-$(VERSION)/debian
	$(Q)cd $(DEB)/jobd-$(VERSION) && dpkg-parsechangelog -S Version | grep -q '^$(VERSION)-' || \
	  { echo 'src/dist/debian/changelog is of another version than $(VERSION)'; exit 1; }
	$(Q)cd $(DEB)/jobd-$(VERSION) && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL \
	  DEB_BUILD_OPTIONS='$(DEB_OPTIONS)' DEB_BUILD_PROFILES='$(filter nocheck,$(DEB_OPTIONS))' \
	  dpkg-buildpackage -us -uc -j$(shell nproc) \
	  >../build.log 2>&1 || { tail -n 20 ../build.log; exit 1; }
	$(Q)ls $(DEB)/*.deb

check-deb: deb  ## lintian has nothing to say; installed, upgraded, removed and purged under systemd (as root)
	$(Q)$(call needs,lintian)
	$(Q)$(call needs,debootstrap)
	$(Q)$(call needs,systemd-nspawn)
	$(Q)CC='$(CC)' CXX='$(CXX)' sh tests/check/deb.sh $(DEB)

.PHONY: dist check-dist deps-deb deb check-deb FORCE
