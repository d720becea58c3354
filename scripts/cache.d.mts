export declare const isRoot: boolean;
export declare function cacheFolder(): string;
export declare function ordinaryUser(): { uid: number; gid: number } | undefined;
export declare function draftFolder(): string;
