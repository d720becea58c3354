export declare const elasticsearchVersion: string;
export declare function elasticsearchFolder(version?: string): string;
export declare function fetchElasticsearch(version?: string): string;
export declare function javaHome(): string | undefined;
