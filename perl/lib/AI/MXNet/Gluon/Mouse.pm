package AI::MXNet::Gluon::Mouse;
use 5.014;
use strict;
use warnings;
use Mouse ();

# Mouse for blocks: what is stored in an attribute is told to the block, which registers its children and parameters.

sub import
{
    my $package = caller;
    strict->import;
    warnings->import;
    Mouse->import({ into => $package });
    no strict 'refs';
    no warnings 'redefine';
    *{"${package}::has"} = \&has;
    return;
}

sub unimport
{
    my $package = caller;
    Mouse->unimport({ into => $package });
    no strict 'refs';
    delete ${"${package}::"}{has};
    return;
}

# The meta class of the package `$package` gets the attribute.
sub add_attribute
{
    my ($meta, $name, %option) = @_;
    my $own = $option{trigger};
    $option{trigger} = sub {
        my ($self, $new, $old) = @_;
        $self->__setattr__($name, $new, $old);
        $own->(@_) if $own;
        return;
    };
    return $meta->add_attribute($name => %option);
}

sub has
{
    my ($names, %option) = @_;
    my $meta = Mouse::Meta::Class->initialize(scalar caller);
    for my $name (ref $names ? @$names : $names) {
        if ($name =~ /^\+/) { $meta->add_attribute($name => %option) }
        else { add_attribute($meta, $name, %option) }
    }
    return;
}

1;

__END__

=head1 NAME

AI::MXNet::Gluon::Mouse - write blocks of one's own

=head1 SYNOPSIS

    package Net;
    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    use AI::MXNet::Gluon::Mouse;
    extends 'AI::MXNet::Gluon::Block';
    has 'width' => (is => 'rw', default => 4);
    sub BUILD
    {
        my $self = shift;
        $self->name_scope(sub {
            $self->hidden(nn->Dense($self->width, in_units => 2, activation => 'relu'));
            $self->out(nn->Dense(1, in_units => $self->width));
        });
    }
    sub forward { my ($self, $x) = @_; return $self->out->($self->hidden->($x)) }

    package main;
    my $net = Net->new(width => 8);
    print $net;

=head1 DESCRIPTION

Exports what L<Mouse> does. An attribute declared with this C<has> registers the block or parameter that is stored in it; so
does an attribute that is made by calling its name, as C<hidden> above.

=cut
