# The source archive; part of the Makefile above.

ARCHIVE := build/jobd-$(VERSION).tar.gz

dist: $(ARCHIVE)  ## a source archive of the last commit, the same bytes each time; SOURCE_DATE_EPOCH

$(ARCHIVE): FORCE
	$(Q)sh src/dist/archive.sh jobd-$(VERSION) $@

check-dist:  ## the archive has the same bytes wherever it is made, and makes itself again
	$(Q)MAKE='$(MAKE)' sh tests/check/dist.sh $(notdir $(ARCHIVE))

.PHONY: dist check-dist FORCE
