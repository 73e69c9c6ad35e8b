# SPDX-License-Identifier: Apache-2.0
"""Why an aim is missed, as far as it was found out; shown only beside an aim that is."""
ENTRY = ""
CALL = ""
ERRORS = ""
STAT = ""
