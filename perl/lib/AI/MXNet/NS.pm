package AI::MXNet::NS;
use 5.014;
use strict;
use warnings;

# Another name for a whole package: classes, subs and variables of both are the same.
sub alias
{
    my ($name, $package) = @_;
    no strict 'refs';
    no warnings 'once';
    *{"main::${name}::"} = *{"main::${package}::"};
    return;
}

# Gives the using package an import() that makes each wanted name a sub which returns the package's own name. A global
# package gets its name as an alias too, when only one is wanted.
sub import
{
    my ($class, $global) = @_;
    my $package = caller;
    my $import = sub {
        my ($self, @names) = @_;
        my $caller = caller;
        s/[^\w:]//g for @names;
        no strict 'refs';
        no warnings 'redefine';
        *{"${caller}::$_"} = sub { $package }
            for @names;
        alias($names[0], $package) if $global and @names == 1;
        return;
    };
    no strict 'refs';
    *{"${package}::import"} = $import;
    return;
}

1;

__END__

=head1 NAME

AI::MXNet::NS - packages that are imported under a short name

=head1 SYNOPSIS

    package My::Toolbox;
    use AI::MXNet::NS;
    sub double { $_[1] * 2 }

    package main;
    BEGIN { My::Toolbox->import('tools') }    # use My::Toolbox qw(tools);
    print tools->double(21), "\n";

=head1 DESCRIPTION

C<use AI::MXNet::NS> gives a package an C<import> method. Each name that is imported becomes a sub of the importing package
which returns the name of the package, so that C<< tools->double >> is a call of a class method.

With C<use AI::MXNet::NS 'global'>, importing one single name also makes it an alias of the whole package, so that the name
works as a class name in every file.

=cut
