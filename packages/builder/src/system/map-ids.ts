/** How a user without root gets more ids. */
export const MAP_IDS =
  'install uidmap (newuidmap, newgidmap), and add a range for your user to /etc/subuid and /etc/subgid; or build as root';
