/** A mistake that only shows when several settings are read together: the setting to change, and what is wrong with it. */
export type Mistake<Settings> = { name: keyof Settings & string; message: string }

/** The settings of a group while they are checked: one that has a mistake of its own is still as it was given. */
export type Given<Settings> = { [Name in keyof Settings]?: unknown }
