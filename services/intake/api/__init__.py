"""The portal's only API: `dossiers` for applicants, `casework` for case workers and agencies, `live` the stream."""
