/*
 * `mos-run restart [PID]` and `mos-run status [PID]`: ask a mos-run that runs, print what it
 * answers. Without a PID there has to be one only.
 */
#ifndef MOS_RUN_CLIENT_H
#define MOS_RUN_CLIENT_H

/* The request, and the PID in text or NULL. Returns the exit status. */
int client_run(const char *request, const char *pid_text);

#endif
